import assert from 'node:assert/strict'
import { onServer, requirement, revocable, type StoreRequirement } from '../requirement.ts'
import { applied, assertAbsent, assertKept, HOUR, payload } from '../trial.ts'

/** Only `create` makes an entry exist, and a destroyed entry stays gone. */
export const absence: readonly StoreRequirement[] = [
  requirement(
    'a key that was never created is absent, and reading does not create it',
    onServer,
    async (store, trial) => {
      const key = trial.key()
      await assertAbsent(store, key)
      assert.equal(await store.read(key, trial.in(HOUR)), undefined)
      await assertAbsent(store, key)
    },
  ),

  requirement('replace of nothing is gone and creates nothing', onServer, async (store, trial) => {
    const { entry } = await trial.keep(store)
    const key = trial.key()
    assert.equal(await store.replace(key, payload(), trial.in(HOUR), entry), 'gone')
    await assertAbsent(store, key)
  }),

  requirement('touch of nothing is gone and creates nothing', onServer, async (store, trial) => {
    const key = trial.key()
    assert.equal(await store.touch(key, trial.in(HOUR)), 'gone')
    await assertAbsent(store, key)
  }),

  requirement('destroy of nothing is gone, with a base and without', onServer, async (store, trial) => {
    const { entry } = await trial.keep(store)
    const key = trial.key()
    assert.equal(await store.destroy(key), 'gone')
    assert.equal(await store.destroy(key, entry), 'gone')
    await assertAbsent(store, key)
  }),

  requirement(
    'create of an existing key answers exists and changes nothing',
    onServer,
    async (store, trial) => {
      const text = payload()
      const moment = trial.in(HOUR)
      const { key, entry } = await trial.keep(store, text, moment)
      assert.equal(await store.create(key, payload(), trial.in(2 * HOUR)), 'exists')
      assert.equal(await store.create(key, payload(), trial.in(-HOUR)), 'exists')
      trial.assertMoment(store, (await assertKept(store, key, text)).expiresAt, moment)
      applied(await store.replace(key, payload(), moment, entry))
    },
  ),

  requirement(
    'destroy ends the entry, and only the first call answers ok',
    revocable,
    async (store, trial) => {
      const { key } = await trial.keep(store)
      assert.equal(await store.destroy(key), 'ok')
      await assertAbsent(store, key)
      assert.equal(await store.destroy(key), 'gone')
    },
  ),

  requirement('after destroy no verb brings the entry back', revocable, async (store, trial) => {
    const { key, entry } = await trial.keep(store)
    const seen = await store.read(key)
    assert.ok(seen)
    assert.equal(await store.destroy(key), 'ok')
    for (const base of [entry, seen]) {
      assert.equal(await store.replace(key, payload(), trial.in(HOUR), base), 'gone')
      assert.equal(await store.touch(key, trial.in(HOUR)), 'gone')
      assert.equal(await store.read(key, trial.in(HOUR)), undefined)
      assert.equal(await store.destroy(key, base), 'gone')
      await assertAbsent(store, key)
    }
  }),

  requirement(
    'late writes after another process has destroyed the entry answer gone',
    revocable,
    async (store, trial) => {
      const [slow, fast] = await trial.pair(store)
      const { key } = await trial.keep(slow)
      const base = await slow.read(key)
      assert.ok(base)
      assert.equal(await fast.destroy(key), 'ok')
      const late = Array.from({ length: 5 }, async () => [
        await slow.replace(key, payload(), trial.in(HOUR), base),
        await slow.touch(key, trial.in(HOUR)),
        await slow.destroy(key, base),
      ])
      for (const outcomes of await Promise.all(late)) assert.deepEqual(outcomes, ['gone', 'gone', 'gone'])
      await assertAbsent(slow, key)
      await assertAbsent(fast, key)
    },
  ),

  requirement(
    'a destroyed key can be created again with another payload',
    revocable,
    async (store, trial) => {
      const { key } = await trial.keep(store)
      assert.equal(await store.destroy(key), 'ok')
      const text = payload()
      applied(await store.create(key, text, trial.in(HOUR)))
      await assertKept(store, key, text)
    },
  ),
]
