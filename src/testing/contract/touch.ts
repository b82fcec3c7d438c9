import assert from 'node:assert/strict'
import { onServer, requirement, type StoreRequirement } from '../requirement.ts'
import { assertAbsent, assertKept, DAY, HOUR, MINUTE, payload } from '../trial.ts'

const LIFE: number = 5 * MINUTE

/** `touch` and `read` extend a life, never shorten it, and never create an entry. */
export const touch: readonly StoreRequirement[] = [
  requirement('touch extends the life', onServer, async (store, trial) => {
    const text = payload()
    const { key } = await trial.keep(store, text, trial.in(LIFE))
    const moment = trial.in(HOUR)
    assert.equal(await store.touch(key, moment), 'ok')
    trial.assertMoment(store, (await assertKept(store, key, text)).expiresAt, moment)
    await trial.almost(store, HOUR)
    await assertKept(store, key, text)
    await trial.rest(store)
    await assertAbsent(store, key)
  }),

  requirement(
    'touch never shortens the life, not even to a time in the past',
    onServer,
    async (store, trial) => {
      const text = payload()
      const moment = trial.in(HOUR)
      const { key } = await trial.keep(store, text, moment)
      assert.equal(await store.touch(key, trial.in(LIFE)), 'ok')
      assert.equal(await store.touch(key, trial.in(-LIFE)), 'ok')
      trial.assertMoment(store, (await assertKept(store, key, text)).expiresAt, moment)
      await trial.almost(store, HOUR)
      await assertKept(store, key, text)
    },
  ),

  requirement('of many touches at once the longest one counts', onServer, async (store, trial) => {
    const [one, other] = await trial.pair(store)
    const text = payload()
    const { key } = await trial.keep(one, text, trial.in(LIFE))
    const hours = [3, 1, 7, 2, 9, 4, 8, 5, 6]
    const longest = trial.in(9 * HOUR)
    const outcomes = await Promise.all(
      hours.map(async (n, at) => (at % 2 ? one : other).touch(key, n === 9 ? longest : trial.in(n * HOUR))),
    )
    assert.deepEqual(new Set(outcomes), new Set(['ok']))
    trial.assertMoment(store, (await assertKept(other, key, text)).expiresAt, longest)
  }),

  requirement(
    'a read with extendTo extends the life, or returns an expiresAt that says it did not',
    onServer,
    async (store, trial) => {
      const text = payload()
      const [before, after] = [trial.in(LIFE), trial.in(DAY)]
      const { key } = await trial.keep(store, text, before)
      const entry = await store.read(key, after)
      assert.ok(entry)
      assert.equal(entry.payload, text)
      const extended = entry.expiresAt > (before + after) / 2
      trial.assertMoment(store, entry.expiresAt, extended ? after : before)
      trial.assertMoment(store, (await assertKept(store, key, text)).expiresAt, entry.expiresAt)
      await trial.almost(store, extended ? DAY : LIFE)
      await assertKept(store, key, text)
      await trial.rest(store)
      await assertAbsent(store, key)
    },
  ),

  requirement('a read never shortens the life', onServer, async (store, trial) => {
    const text = payload()
    const moment = trial.in(HOUR)
    const { key } = await trial.keep(store, text, moment)
    for (const earlier of [LIFE, -LIFE]) {
      const entry = await store.read(key, trial.in(earlier))
      assert.ok(entry)
      trial.assertMoment(store, entry.expiresAt, moment)
    }
    await trial.almost(store, HOUR)
    await assertKept(store, key, text)
  }),
]
