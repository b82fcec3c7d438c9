import { hashId } from '../../../src/session/id.ts'
import * as actions from '../../../src/testing/simulation/actions.ts'
import type { Action } from '../../../src/testing/simulation/actor.ts'
import { Branches } from '../../../src/testing/simulation/branches.ts'
import { Seeded } from '../../../src/testing/simulation/seeded.ts'
import {
  Simulation,
  type Choices,
  type Conditions,
  type SimulationSettings,
} from '../../../src/testing/simulation/simulation.ts'
import type { State } from '../../../src/testing/simulation/values.ts'
import { VirtualTime } from '../../../src/testing/simulation/virtual-time.ts'
import { harnessOf, HonestStore } from '../honest-store.ts'

/** Requests that come with the ID of one session, and what is checked after each order of their calls. */
export interface Race {
  /** Each request gets a commit at its end. */
  readonly requests: readonly (readonly Action[])[]
  /** What the session holds before. Default: that of the walks. */
  readonly before?: readonly Action[]
  readonly settings?: Partial<SimulationSettings>
  /** Whether time passes after the session was begun, so that its ID is to be rotated. */
  readonly isAged?: boolean
  readonly faults?: number
  /** What is wrong, if anything is. */
  readonly verify?: (outcome: Outcome) => string | undefined
}

/** What is stored when all requests have ended. */
export interface Outcome {
  /** The ID with which all requests came. */
  readonly firstId: string
  /** The IDs that a request told its client: `a` is the first request. */
  readonly idsOf: (name: string) => readonly string[]
  /** What the session holds that an ID opens. */
  readonly opened: (id: string) => State | undefined
  /** What is held by all sessions that any client can open. */
  readonly living: () => readonly State[]
}

/** Every order in which the calls of the requests can follow each other, and what went wrong in the first bad one. */
export async function everyOrder(race: Race): Promise<{ orders: number; wrong: string | undefined }> {
  const branches = new Branches()
  let orders = 0
  do {
    orders += 1
    const wrong = await order(race, branches)
    if (wrong !== undefined) return { orders, wrong }
  } while (branches.next())
  return { orders, wrong: undefined }
}

/** So many orders by chance, and what went wrong in the first bad one. */
export async function someOrders(race: Race, count: number): Promise<string | undefined> {
  for (let seed = 1; seed <= count; seed += 1) {
    const wrong = await order(race, new Seeded(seed))
    if (wrong !== undefined) return `seed ${seed}: ${wrong}`
  }
  return undefined
}

async function order(race: Race, choices: Choices): Promise<string | undefined> {
  const { requests, before = [actions.begin], settings, isAged = false, faults = 0, verify } = race
  const harness = harnessOf((backend) => new HonestStore(backend))
  const time = new VirtualTime(harness)
  time.join()
  const stores = [await harness.open(), await harness.open()]
  const simulation = new Simulation(stores, time, choices, { processes: 2, ...settings })
  await simulation.go([[...before]], () => undefined)
  const firstId = simulation.told[0]?.id ?? ''
  const conditions: Partial<Conditions> = { faults, pauses: isAged ? [simulation.steps] : [] }
  await simulation.go(
    requests.map((each) => [...each, actions.commit]),
    () => firstId,
    conditions,
  )
  const { oracle, told } = simulation
  const opened = (id: string): State | undefined =>
    oracle.opens(hashId(id)) ? oracle.leadsTo(hashId(id))?.newest : undefined
  const wrong = verify?.({
    firstId,
    idsOf: (name) => told.filter(({ by }) => by === name).map(({ id }) => id),
    opened,
    living: () => told.flatMap(({ id }) => opened(id) ?? []),
  })
  await simulation.end()
  const { broken } = simulation.violations
  if (wrong === undefined && broken.length === 0) return undefined
  return `${wrong ?? ''}\n${simulation.violations.report()}`
}
