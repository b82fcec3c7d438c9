import assert from 'node:assert/strict'
import { onClient, requirement, revocable, type Condition, type StoreRequirement } from '../requirement.ts'
import { both, CROWD, ROUNDS, turn } from './concurrently.ts'
import { applied, assertAbsent, assertKept, found, HOUR, payload } from '../trial.ts'

const credentialsRevocable: Condition = (traits, harness) => onClient(traits, harness) && traits.revocable

/** That the end stays the end, whatever happens at the same time. */
export const destroyRaces: readonly StoreRequirement[] = [
  requirement('of replace and destroy at once, the end stays the end', revocable, async (store, trial) => {
    const [one, other] = await trial.pair(store)
    for (let round = 0; round < ROUNDS; round += 1) {
      const { key, entry } = await trial.keep(one)
      const write = async (): Promise<unknown> => one.replace(key, payload(), trial.in(HOUR), entry)
      const [ended] = await both(round, async () => other.destroy(key), write)
      assert.equal(ended, 'ok')
      await assertAbsent(one, key)
    }
  }),

  requirement('of touch and destroy at once, the end stays the end', revocable, async (store, trial) => {
    const [one, other] = await trial.pair(store)
    for (let round = 0; round < ROUNDS; round += 1) {
      const { key } = await trial.keep(one)
      const [ended] = await both(
        round,
        async () => other.destroy(key),
        async () => one.touch(key, trial.in(2 * HOUR)),
      )
      assert.equal(ended, 'ok')
      await assertAbsent(one, key)
    }
  }),

  requirement(
    'of an extending read and destroy at once, the end stays the end',
    revocable,
    async (store, trial) => {
      const [one, other] = await trial.pair(store)
      for (let round = 0; round < ROUNDS; round += 1) {
        const { key } = await trial.keep(one)
        const [ended] = await both(
          round,
          async () => other.destroy(key),
          async () => one.read(key, trial.in(2 * HOUR)),
        )
        assert.equal(ended, 'ok')
        await assertAbsent(one, key)
      }
    },
  ),

  requirement('of replace and destroy from one base, one is applied', revocable, async (store, trial) => {
    const [one, other] = await trial.pair(store)
    for (let round = 0; round < ROUNDS; round += 1) {
      const { key, entry } = await trial.keep(one)
      const text = payload()
      const [ended, written] = await both(
        round,
        async () => other.destroy(key, entry),
        async () => one.replace(key, text, trial.in(HOUR), entry),
      )
      if (ended === 'ok') {
        assert.equal(written, 'gone')
        await assertAbsent(one, key)
      } else {
        assert.equal(ended, 'conflict')
        applied(written)
        await assertKept(one, key, text)
      }
    }
  }),

  requirement('of many destroys at once one is told that it was the one', revocable, async (store, trial) => {
    const stores = await trial.pair(store)
    for (const withBase of [true, false]) {
      const { key, entry } = await trial.keep(store)
      const outcomes = await Promise.all(
        Array.from({ length: CROWD }, async (_, at) =>
          turn(stores, at).destroy(key, withBase ? entry : undefined),
        ),
      )
      assert.equal(outcomes.filter((outcome) => outcome === 'ok').length, 1)
      assert.equal(outcomes.filter((outcome) => outcome === 'gone').length, CROWD - 1)
      await assertAbsent(store, key)
    }
  }),

  requirement(
    'where credentials can be revoked, the end of a session is the end of all of its credentials',
    credentialsRevocable,
    async (store, trial) => {
      const [one, other] = await trial.pair(store)
      const key = trial.key()
      const first = applied(await one.create(key, payload(), trial.in(HOUR)))
      const second = applied(await other.replace(key, payload(), trial.in(2 * HOUR), first.entry))
      const outcomes = await Promise.all([
        one.destroy(key, first.entry, trial.in(2 * HOUR)),
        other.destroy(key, undefined, trial.in(2 * HOUR)),
      ])
      assert.deepEqual(
        outcomes.toSorted(),
        ['gone', 'ok'],
        'of many destroys one is told that it was the one',
      )
      for (const each of [one, other]) {
        assert.equal(await each.replace(key, payload(), trial.in(HOUR), second.entry), 'gone')
        assert.equal(await each.touch(key, trial.in(HOUR)), 'gone')
        for (const written of [first, second]) await assertAbsent(each, found(key, written).key)
      }
      await trial.almost(store, 2 * HOUR)
      await assertAbsent(store, found(key, second).key)
    },
  ),

  requirement(
    'of create and destroy at once, the answers tell what is left',
    revocable,
    async (store, trial) => {
      const [one, other] = await trial.pair(store)
      for (let round = 0; round < ROUNDS; round += 1) {
        const { key } = await trial.keep(one)
        const text = payload()
        const [created, ended] = await both(
          round,
          async () => one.create(key, text, trial.in(HOUR)),
          async () => other.destroy(key),
        )
        assert.equal(ended, 'ok')
        if (created === 'exists') await assertAbsent(one, key)
        else await assertKept(one, key, text)
      }
    },
  ),
]
