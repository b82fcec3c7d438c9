import assert from 'node:assert/strict'
import type { Store } from '../../store.ts'
import type { StoreHarness } from '../harness.ts'
import { requirement, revocable, type StoreRequirement } from '../requirement.ts'
import { MINUTE, type Trial } from '../trial.ts'
import * as actions from './actions.ts'
import type { Action } from './actor.ts'
import type { Isolation } from './replay-model.ts'
import { Seeded } from './seeded.ts'
import { Simulation, type Choices, type SimulationSettings } from './simulation.ts'
import type { Violations } from './violations.ts'
import { VirtualTime } from './virtual-time.ts'

/** Which walks, and how many. */
export interface RandomWalkOptions {
  /** The number of walks. Default 1,000. */
  readonly count?: number
  /** The seed of the first walk; each further walk has the next number as its seed. Default 1. */
  readonly from?: number
}

/** How many walks make one requirement, and how many of them run at the same time. */
const IN_ONE = 1_000
const AT_ONCE = 50

/**
 * Seeded random walks: whole requests on whole sessions, on your store.
 *
 * A list for any test runner, used like {@link storeContract}: one requirement for each thousand walks. In a walk three to
 * five requests in one or two processes work on one session, through a real `SessionManager`. They read, set, count, change
 * in place, delete, take, claim, clear, regenerate, destroy and commit; time passes; in some walks the store fails, or two
 * calls run at once. Each call of the store is held until the walk lets it through. The requirement holds if no acknowledged
 * change is lost, nothing is counted or claimed twice, nothing that has ended comes back, a session has one ID, and every
 * request is told the truth. Applies to stores on a server that can destroy sessions.
 *
 * The seed decides everything except the order of two calls that run at once. A requirement that does not hold rejects with
 * an `AssertionError`, whose message has the seed of the first failed walk and its steps; `randomWalks({ from: seed, count: 1
 * })` repeats it.
 *
 * ```ts
 * for (const requirement of randomWalks({ count: 5_000 })) {
 *   test(requirement.title, async () => requirement.check(harness))
 * }
 * ```
 */
export function randomWalks({
  count = 1_000,
  from = 1,
}: RandomWalkOptions = {}): readonly StoreRequirement[] {
  const firsts = Array.from({ length: Math.ceil(count / IN_ONE) }, (_, at) => from + at * IN_ONE)
  return firsts.map((first) => {
    const last = Math.min(first + IN_ONE, from + count) - 1
    const seeds = Array.from({ length: last - first + 1 }, (_, at) => first + at)
    const title = `in the walks ${first} to ${last} nothing is lost and nothing comes back`
    return requirement(title, revocable, async (store, trial, harness) => check(seeds, store, trial, harness))
  })
}

async function check(
  seeds: readonly number[],
  store: Store,
  trial: Trial,
  harness: StoreHarness,
): Promise<void> {
  const stores = await trial.pair(store)
  const failed: { readonly seed: number; readonly report: string }[] = []
  const one = async (seed: number, time: VirtualTime): Promise<void> => {
    time.join()
    const violations = await randomWalk(stores, time, seed)
    await time.leave()
    if (violations.broken.length > 0) failed.push({ seed, report: violations.report() })
  }
  // Time passes for all walks that run at once, so long walks and short ones must not be mixed.
  for (const long of [false, true]) {
    const kind = seeds.filter((seed) => isLong(seed) === long)
    for (let at = 0; at < kind.length; at += AT_ONCE) {
      const time = new VirtualTime(harness)
      await Promise.all(kind.slice(at, at + AT_ONCE).map(async (seed) => one(seed, time)))
    }
  }
  const [first] = failed.toSorted((a, b) => a.seed - b.seed)
  if (first === undefined) return
  const which = `walk ${first.seed}, the first of ${failed.length} that failed`
  assert.fail(`${which}\n${first.report}\nTo repeat it: randomWalks({ from: ${first.seed}, count: 1 }).`)
}

const isolations: readonly Isolation[] = [
  'snapshot',
  'snapshot',
  'snapshot',
  'snapshot',
  'serializable',
  'last-wins',
]

/** What a request may do, and how often it does so. */
const repertoire: readonly (readonly [weight: number, action: Action])[] = [
  [5, actions.setOwn],
  [3, actions.set('a')],
  [2, actions.set('b')],
  [2, actions.readAndSet('a')],
  [1, actions.readAndSet('b')],
  [1, actions.readAndReset('n')],
  [1, actions.setIfAbsent('b')],
  [1, actions.get('a')],
  [1, actions.get('n')],
  [1, actions.has('b')],
  [1, actions.has('token')],
  [1, actions.list],
  [5, actions.count('n', 1)],
  [2, actions.count('m', 3)],
  [1, actions.count('m', 5, 'skip')],
  [1, actions.count('m', 7, 'throw')],
  [1, actions.reset('n')],
  [3, actions.alter],
  [4, actions.collect],
  [2, actions.remove('a')],
  [1, actions.readAndRemove('a')],
  [1, actions.readAndRemove('b')],
  [1, actions.remove('n')],
  [1, actions.remove('m')],
  [1, actions.remove('bag')],
  [2, actions.take('flash')],
  [1, actions.take('b')],
  [1, actions.takeAndSet('flash')],
  [4, actions.claim('token')],
  [1, actions.claim('a')],
  [1, actions.set('token')],
  [1, actions.set('flash')],
  [1, actions.clear],
  [4, actions.regenerate],
  [1, actions.disconnect],
  [2, actions.destroy],
  [1, actions.end],
  [1, actions.endFirst],
  [2, actions.look],
  [1, actions.readId],
  [2, actions.rest],
  [6, actions.commit],
]
const bag: readonly Action[] = repertoire.flatMap(([weight, action]) =>
  Array.from({ length: weight }, () => action),
)

/** Repertoires of which each action meets the others far more often than in {@link repertoire}. */
const themes: readonly (readonly Action[])[] = [
  // Ends against writers and moves.
  [
    actions.regenerate,
    actions.regenerate,
    actions.destroy,
    actions.endFirst,
    actions.set('a'),
    actions.commit,
  ],
  // Several commits of one request, in between which others change what it has read.
  [
    actions.readAndSet('a'),
    actions.get('a'),
    actions.set('a'),
    actions.setOwn,
    actions.commit,
    actions.commit,
  ],
  [actions.count('n', 1), actions.readAndReset('n'), actions.remove('n'), actions.commit],
  // New sessions, and the IDs that they get.
  [actions.destroy, actions.readId, actions.readId, actions.set('a'), actions.commit],
]

/** For requests that are under way for a long time. */
const underWay: readonly Action[] = [
  actions.rest,
  actions.rest,
  actions.rest,
  actions.set('a'),
  actions.count('n', 1),
  actions.get('b'),
  actions.regenerate,
  actions.destroy,
  actions.endFirst,
  actions.commit,
]

/** Whether time passes in the walk of a seed. It then waits for the other walks on its {@link VirtualTime}. */
function isLong(seed: number): boolean {
  return seed % 4 === 3
}

/** The settings of a walk: two of three walks have the default isolation, and half of those in which time passes rotate IDs. */
function settingsOf(choices: Choices, isLongWalk: boolean): SimulationSettings {
  const processes = 1 + choices.pick(2)
  const isolation = isolations[choices.pick(isolations.length)] ?? 'snapshot'
  const rotates = isLongWalk && choices.pick(2) === 0
  return {
    processes,
    isolation,
    keys: choices.pick(4) === 0 ? { a: 'last-wins', b: 'serializable', n: 'snapshot' } : {},
    ...(rotates ? { rotation: { after: 30 * MINUTE, grace: 20 * MINUTE } } : {}),
  }
}

/** One walk: three to five requests on one session. The same seed makes the same walk. */
export async function randomWalk(
  stores: readonly Store[],
  time: VirtualTime,
  seed: number,
): Promise<Violations> {
  const choices = new Seeded(seed)
  const passes = isLong(seed) && time.isTurned
  const simulation = new Simulation(stores, time, choices, settingsOf(choices, passes))
  await simulation.go([[actions.begin]], () => undefined)
  const faults = [0, 0, 4, 12][choices.pick(4)] ?? 0
  const overlaps = choices.pick(4) === 0 ? 3 : 0
  const pauses = passes ? pausesOf(choices) : []
  const from = passes && choices.pick(2) === 0 ? underWay : repertoireOf(choices)
  const requests = Array.from({ length: 3 + choices.pick(3) }, () => request(choices, from, faults > 0))
  const idOf = (): string | undefined => {
    const [known, which] = [simulation.told, choices.pick(8)]
    if (which === 0) return undefined
    return (which < 3 ? known[choices.pick(known.length)] : known.at(-1))?.id
  }
  await simulation.go(requests, idOf, { faults, overlaps, pauses })
  if (passes && choices.pick(2) === 0) await simulation.outlive()
  await simulation.end()
  return simulation.violations
}

/** The steps before which time passes: once, or twice for longer than a session lives unused. */
function pausesOf(choices: Choices): readonly number[] {
  const steps = [4 + choices.pick(12), 16 + choices.pick(12), 28 + choices.pick(12)]
  return steps.flatMap((step) => (choices.pick(3) === 0 ? [step, step] : [step]))
}

/** Half of the walks have a few actions only, which then meet far more often (swarm testing, Groce et al. 2012). */
function repertoireOf(choices: Choices): readonly Action[] {
  const kind = choices.pick(4)
  if (kind < 2) return bag
  if (kind === 2) return themes[choices.pick(themes.length)] ?? bag
  const some = Array.from({ length: 2 }, () => bag[choices.pick(bag.length)] ?? actions.look)
  return [...some, actions.commit]
}

/** One to five actions and a commit; a second commit where the store may fail. */
function request(choices: Choices, from: readonly Action[], commitsAgain: boolean): readonly Action[] {
  const all = Array.from(
    { length: 1 + choices.pick(5) },
    () => from[choices.pick(from.length)] ?? actions.look,
  )
  return [...all, actions.commit, ...(commitsAgain ? [actions.commit] : [])]
}
