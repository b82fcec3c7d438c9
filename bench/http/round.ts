// One measurement: a scenario on one server, as fast as its visitors go or at a fixed rate; and whether the answers are right.
import { setTimeout as delay } from 'node:timers/promises'
import { sentBetween, type Backend } from './backend.ts'
import { fits, scenarios, type Held, type Scenario } from './kind.ts'
import type { Place, Subject } from './subject.ts'

/** What one request took, on average. */
export interface Cost {
  /** µs of the server's processor. */
  readonly cpu: number
  /** Requests a second. */
  readonly rate: number
  /** Bytes of HTTP, both ways. */
  readonly bytes: number
  /** Commands that the program sent to Redis, µs of Redis's own processor, and bytes between the two. */
  readonly commands: number
  readonly backendCpu: number
  readonly backendBytes: number
}

/** How long visitors waited, in ms, when they came at a fixed rate. */
export interface Waits {
  readonly p50: number
  readonly p99: number
}

let writes = 0

/** Gives every visitor its sessions. */
export async function prepare({ kind, places }: Subject): Promise<void> {
  const held = new Set(scenarios.filter((scenario) => fits(kind, scenario)).map(({ session }) => session))
  for (const { visitor, jars } of kind.library === 'bare' ? [] : places) {
    for (const session of held) {
      if (session !== undefined)
        await visitor.visit(`/fill/${session === 'login' ? 'small' : session}`, jars[session])
    }
  }
}

/** Every visitor comes again as soon as it is answered. */
export async function measure(
  subject: Subject,
  scenario: Scenario,
  visits: number,
  backend: Backend | undefined,
): Promise<Cost> {
  const { places } = subject
  const before = await subject.counters()
  const backendBefore = await backend?.counters()
  const startedAt = performance.now()
  await Promise.all(
    places.map(async (place) => {
      for (let index = 0; index < visits; index += 1) await visit(place, scenario)
    }),
  )
  const seconds = (performance.now() - startedAt) / 1000
  const after = await subject.counters()
  const backendAfter = await backend?.counters()
  await check(subject, scenario)
  const requests = visits * places.length
  const each = (now = 0, then = 0): number => (now - then) / requests
  const sent = backendBefore && backendAfter && sentBetween(backendBefore, backendAfter)
  return {
    cpu: each(after.cpu, before.cpu),
    rate: requests / seconds,
    bytes: each(after.received + after.sent, before.received + before.sent),
    commands: each(sent),
    backendCpu: each(backendAfter?.cpu, backendBefore?.cpu),
    backendBytes: each(backendAfter?.bytes, backendBefore?.bytes),
  }
}

/** Visitors come at a fixed rate, whether or not those before them were answered, and wait in line if all are busy. */
export async function measureWaits(
  subject: Subject,
  scenario: Scenario,
  rate: number,
  seconds: number,
): Promise<Waits> {
  const waits: number[] = []
  const idle = [...subject.places]
  const line: number[] = []
  const serve = async (place: Place): Promise<void> => {
    for (let due = line.shift(); due !== undefined; due = line.shift()) {
      await visit(place, scenario)
      waits.push(performance.now() - due)
    }
    idle.push(place)
  }
  const under: Promise<void>[] = []
  const startedAt = performance.now()
  for (let sent = 0; sent < rate * seconds;) {
    for (; sent < rate * seconds && startedAt + (sent * 1000) / rate <= performance.now(); sent += 1) {
      line.push(startedAt + (sent * 1000) / rate)
      const place = idle.pop()
      if (place !== undefined) under.push(serve(place))
    }
    await delay(1)
  }
  await Promise.all(under)
  await check(subject, scenario)
  const sorted = waits.toSorted((one, other) => one - other)
  const at = (part: number): number => sorted[Math.floor(sorted.length * part)] ?? 0
  return { p50: at(0.5), p99: at(0.99) }
}

async function visit({ visitor, jars, written }: Place, { name, session }: Scenario): Promise<void> {
  if (session === undefined) {
    expect(await visitor.visit('/untouched'), 'ok', name)
  } else if (name === 'read') {
    expect(await visitor.visit('/read', jars[session]), written[session], name)
  } else if (name === 'cart-read') {
    expect(await visitor.visit('/cart-read', jars[session]), `${written[session]} ${TOTAL}`, name)
  } else if (name === 'untouched') {
    expect(await visitor.visit('/untouched', jars[session]), 'ok', name)
  } else {
    const value = `value-${(writes += 1)}`
    const route = name === 'large' ? 'write' : name
    expect(await visitor.visit(`/${route}/${value}`, jars[session]), 'ok', name)
    written[session] = value
  }
}

/** What was written last is what is read, by everybody. */
async function check({ kind, places }: Subject, { name, session }: Scenario): Promise<void> {
  if (session === undefined || kind.library === 'bare') return
  for (const { visitor, jars, written } of places) {
    const wanted: Record<Held, readonly [string, string]> = {
      small: ['/read', written.small],
      large: ['/read', written.large],
      login: ['/read', written.login],
      cart: ['/cart-read', `${written.cart} ${TOTAL}`],
    }
    const [path, value] = wanted[session]
    expect(await visitor.visit(path, jars[session]), value, `${kind.name}: ${name}`)
  }
}

/** What the ten items of the cart cost. */
const TOTAL = 60_125

function expect(body: string, wanted: string, what: string): void {
  if (body !== wanted) throw new Error(`${what}: got ${body}, expected ${wanted}`)
}
