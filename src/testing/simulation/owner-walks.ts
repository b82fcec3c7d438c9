import assert from 'node:assert/strict'
import type { Store } from '../../store.ts'
import type { StoreHarness } from '../harness.ts'
import { onServer, requirement, type StoreRequirement } from '../requirement.ts'
import { ownerActions } from './owner-actions.ts'
import { OwnerSimulation, UNCAPPED, type OwnerAction, type OwnerConditions } from './owner-simulation.ts'
import { Seeded } from './seeded.ts'
import type { Choices } from './simulation.ts'
import { VirtualTime } from './virtual-time.ts'

/** Two sign-ins, and a session that belongs to no owner yet, before anything else happens. */
const before: readonly OwnerAction[] = ['signs in', 'signs in'].map((name) => actionOf(name))

/** One simulation: processes that run at the same time. Returns what went wrong. */
export async function runOwners(
  store: Store,
  time: VirtualTime,
  choices: Choices,
  scripts: readonly (readonly string[])[],
  conditions: Partial<OwnerConditions> = {},
): Promise<string | undefined> {
  const settings = { faults: 0, crash: undefined, max: UNCAPPED, ...conditions }
  const prologue = new OwnerSimulation(store, time, choices, {
    ...settings,
    faults: 0,
    crash: undefined,
    evictions: 0,
  })
  await prologue.go([before])
  const simulation = prologue.next(settings)
  await simulation.begin()
  await simulation.go(scripts.map((names) => names.map((name) => actionOf(name))))
  await simulation.end()
  return simulation.broken.length === 0 ? undefined : simulation.report()
}

/** Options for {@link ownerWalks}. */
export interface OwnerWalkOptions {
  /** How many walks. Default: 1,000. */
  readonly count?: number
  /** The number of the first one. Default: 1. */
  readonly from?: number
}

/**
 * Random walks of processes that sign one owner in and end its sessions, with crashes, lost answers, late calls and records that
 * are evicted, on the real library over your store. Whatever was ended stays ended, nothing else ends, no more sessions are usable
 * than are allowed, and each usable one is listed. A report names the invariant that does not hold, by its number in the page
 * on users' sessions.
 */
export function ownerWalks({ count = 1_000, from = 1 }: OwnerWalkOptions = {}): readonly StoreRequirement[] {
  const last = from + count - 1
  return [
    requirement(
      `in the walks ${from} to ${last} of an owner's sessions what was ended stays ended, and nothing else ends`,
      onServer,
      async (store, _trial, harness) => {
        for (let seed = from; seed <= last; seed += 1) {
          const report = await ownerWalk(store, harness, seed)
          if (report !== undefined) assert.fail(`walk ${seed}\n${report}`)
        }
      },
    ),
  ]
}

/** One walk: three to five processes. The same seed makes the same walk. */
export async function ownerWalk(
  store: Store,
  harness: StoreHarness,
  seed: number,
  conditions: Pick<OwnerConditions, 'open'> = {},
): Promise<string | undefined> {
  const choices = new Seeded(seed)
  const names = Object.keys(ownerActions)
  const some =
    choices.pick(2) === 0 ? names : Array.from({ length: 4 }, () => names[choices.pick(names.length)] ?? '')
  const actors = 3 + choices.pick(3)
  const scripts = Array.from({ length: actors }, () =>
    Array.from({ length: 1 + choices.pick(4) }, () => some[choices.pick(some.length)] ?? ''),
  )
  const faults = [0, 0, 4, 12][choices.pick(4)] ?? 0
  const crash =
    choices.pick(2) === 0 ? { actor: choices.pick(actors), call: 1 + choices.pick(12) } : undefined
  const max = choices.pick(3) === 0 ? 3 : UNCAPPED
  const evictions = choices.pick(4) === 0 && conditions.open === undefined ? 20 : 0
  const time = new VirtualTime(harness)
  time.join()
  return runOwners(store, time, choices, scripts, { ...conditions, faults, crash, max, evictions })
}

function actionOf(name: string): OwnerAction {
  const action = ownerActions[name]
  if (action === undefined) throw new Error(`no action is called '${name}'`)
  return action
}
