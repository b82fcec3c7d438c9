import assert from 'node:assert/strict'
import type { Store } from '../../store.ts'
import type { StoreHarness, StoreRequirement } from '../harness.ts'
import { requirement, revocable } from '../requirement.ts'
import type { Trial } from '../trial.ts'
import { VirtualTime } from './virtual-time.ts'
import { isLong, randomWalk } from './random-walk.ts'

/** Which walks, and how many. */
export interface RandomWalkOptions {
  /** How many. Default 1,000. */
  readonly count?: number
  /** The seed of the first one; the next has the next number. Default 1. */
  readonly from?: number
}

/** So many walks make one requirement, and so many of them are under way at once. */
const IN_ONE = 1_000
const AT_ONCE = 50

/**
 * Seeded random walks on a store, for any test runner, like `storeContract`.
 *
 * In each, three to five requests of one or two processes work on one session, through a real `SessionManager`: they
 * read, set, count, delete, take, claim, clear, regenerate, destroy and commit, time passes, and in some walks the store
 * fails or two verbs run at once. Every verb is held until the walk lets it through. It is checked that nothing is lost,
 * nothing is counted or claimed twice, nothing that has ended comes back, a session has one ID, and a request is told what
 * is true.
 *
 * The seed alone decides everything but what two verbs at once do to each other. A walk that fails tells its story and
 * its seed; `randomWalks({ from: seed, count: 1 })` takes it again.
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
  // Time passes for all at once, so those for whom it does must not meet those for whom it does not.
  for (const long of [false, true]) {
    const kind = seeds.filter((seed) => isLong(seed) === long)
    for (let at = 0; at < kind.length; at += AT_ONCE) {
      const time = new VirtualTime(harness)
      await Promise.all(kind.slice(at, at + AT_ONCE).map(async (seed) => one(seed, time)))
    }
  }
  const [worst] = failed.toSorted((a, b) => a.seed - b.seed)
  if (worst === undefined) return
  const which = `walk ${worst.seed}, the first of ${failed.length} that failed`
  assert.fail(
    `${which}\n${worst.report}\nIt is taken again by randomWalks({ from: ${worst.seed}, count: 1 }).`,
  )
}
