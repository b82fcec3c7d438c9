import assert from 'node:assert/strict'
import type { Counting, Store, Sweeping } from '../../store.ts'
import { onServer, requirement, type Condition, type StoreRequirement } from '../requirement.ts'
import {
  applied,
  assertAbsent,
  assertKept,
  DAY,
  HOUR,
  MINUTE,
  payload,
  type StoredEntry,
  type Trial,
} from '../trial.ts'

/** A bound for a sweep that never ends. */
const TURNS = 10_000

/** On the client there are no entries to sweep; a store there may sweep its list of revoked sessions. */
const sweeps: Condition = (traits, harness) => onServer(traits, harness) && harness.sweeps === true
const counts: Condition = (_, harness) => harness.counts === true

/** Expired entries are removed, and living ones are counted. The backend may hold other entries as well. */
export const sweepAndCount: readonly StoreRequirement[] = [
  requirement('sweep removes what has expired and nothing else', sweeps, async (store, trial) => {
    const text = payload()
    const living = await trial.keep(store, text, trial.in(DAY))
    const expired = await expire(store, trial, 5)
    assert.ok(
      (await sweepAll(sweeper(store), 100)) >= expired.length,
      'sweep must return how many entries it removed',
    )
    await assertKept(store, living.key, text)
    for (const { key } of expired) await assertAbsent(store, key)
  }),

  requirement(
    'sweep removes no more than its limit, and goes on where it stopped',
    sweeps,
    async (store, trial) => {
      const expired = await expire(store, trial, 5)
      assert.ok((await sweepAll(sweeper(store), 2)) >= expired.length)
    },
  ),

  requirement('a sweep of nothing removes nothing', sweeps, async (store, trial) => {
    const text = payload()
    const living = await trial.keep(store, text, trial.in(DAY))
    await sweepAll(sweeper(store), 100)
    assert.equal(await sweeper(store).sweep(100), 0)
    await assertKept(store, living.key, text)
  }),

  requirement('sweeps at once remove what has expired and nothing else', sweeps, async (store, trial) => {
    const [one, other] = await trial.pair(store)
    const text = payload()
    const living = await trial.keep(store, text, trial.in(DAY))
    const expired = await expire(store, trial, 20)
    const all = [one, other, one, other].map((each) => sweeper(each))
    const removed = await Promise.all(all.map(async (each) => sweepAll(each, 5)))
    assert.ok(removed.reduce((sum, n) => sum + n) >= expired.length)
    await assertKept(other, living.key, text)
  }),

  requirement(
    'a sweep does not remove what is created or extended at the same time',
    sweeps,
    async (store, trial) => {
      const [one, other] = await trial.pair(store)
      const extended = await trial.keep(store, payload(), trial.in(2 * MINUTE))
      const expired = await expire(store, trial, 10)
      const texts = expired.map(() => payload())
      const creating = expired.map(async ({ key }, at) => other.create(key, String(texts[at]), trial.in(DAY)))
      const [removed, touched, ...created] = await Promise.all([
        sweepAll(sweeper(one), 3),
        other.touch(extended.key, trial.in(DAY)),
        ...creating,
      ])
      assert.ok(removed >= 0)
      assert.equal(touched, 'ok')
      for (const outcome of created) applied(outcome)
      await trial.outlive(store, HOUR)
      await sweepAll(sweeper(one), 100)
      await assertKept(store, extended.key, extended.entry.payload)
      for (const [at, { key }] of expired.entries()) await assertKept(store, key, String(texts[at]))
    },
  ),

  requirement('count returns the number of living entries', counts, async (store, trial) => {
    const before = await counting(store).count()
    const kept = [await trial.keep(store), await trial.keep(store), await trial.keep(store)]
    assert.equal(await counting(store).count(), before + 3)
    for (const { key } of kept) await store.destroy(key)
    assert.equal(await counting(store).count(), before)
  }),

  requirement('count leaves out expired entries', counts, async (store, trial) => {
    await trial.keep(store, payload(), trial.in(MINUTE))
    const before = await counting(store).count()
    await trial.outlive(store, MINUTE)
    assert.ok((await counting(store).count()) <= before - 1)
  }),
]

/** This many entries that have expired, and were not read since. */
async function expire(store: Store, trial: Trial, howMany: number): Promise<readonly StoredEntry[]> {
  const keeping = Array.from({ length: howMany }, async () => trial.keep(store, payload(), trial.in(MINUTE)))
  const kept = await Promise.all(keeping)
  await trial.outlive(store, MINUTE)
  return kept
}

/** Sweeps until nothing is left, and returns how many entries were removed. */
async function sweepAll(store: Sweeping, limit: number): Promise<number> {
  let sum = 0
  for (let turn = 0; turn < TURNS; turn += 1) {
    const removed = await store.sweep(limit)
    assert.ok(
      Number.isInteger(removed) && removed >= 0 && removed <= limit,
      'sweep must return a whole number from 0 to its limit',
    )
    if (removed === 0) return sum
    sum += removed
  }
  return assert.fail('sweep never returns 0, so it never ends')
}

function sweeper(store: Store & Partial<Sweeping>): Sweeping {
  const { sweep } = store
  if (sweep === undefined) assert.fail('the harness says `sweeps: true`, but the store has no sweep()')
  return { sweep: sweep.bind(store) }
}

function counting(store: Store & Partial<Counting>): Counting {
  const { count } = store
  if (count === undefined) assert.fail('the harness says `counts: true`, but the store has no count()')
  return { count: count.bind(store) }
}
