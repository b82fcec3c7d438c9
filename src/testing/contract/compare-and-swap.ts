import assert from 'node:assert/strict'
import { onServer, requirement, revocable, type StoreRequirement } from '../requirement.ts'
import { applied, assertAbsent, assertKept, HOUR, MINUTE, payload, version } from '../trial.ts'

/** A write from an older base is never applied, and a write from the present base always is. */
export const compareAndSwap: readonly StoreRequirement[] = [
  requirement(
    'replace from an older base is a conflict and changes nothing',
    onServer,
    async (store, trial) => {
      const moment = trial.in(HOUR)
      const { key, entry } = await trial.keep(store)
      const text = payload()
      applied(await store.replace(key, text, moment, entry))
      assert.equal(await store.replace(key, payload(), trial.in(9 * HOUR), entry), 'conflict')
      trial.assertMoment(store, (await assertKept(store, key, text)).expiresAt, moment)
    },
  ),

  requirement(
    'destroy with an older base is a conflict and changes nothing',
    onServer,
    async (store, trial) => {
      const { key, entry } = await trial.keep(store)
      const text = payload()
      const next = applied(await store.replace(key, text, trial.in(HOUR), entry)).entry
      assert.equal(await store.destroy(key, entry), 'conflict')
      await assertKept(store, key, text)
      applied(await store.replace(key, payload(), trial.in(HOUR), next))
    },
  ),

  requirement('destroy with the present base ends the entry', revocable, async (store, trial) => {
    const first = await trial.keep(store)
    assert.equal(await store.destroy(first.key, first.entry), 'ok')
    await assertAbsent(store, first.key)

    const second = await trial.keep(store)
    const seen = await store.read(second.key)
    assert.ok(seen)
    assert.equal(await store.destroy(second.key, seen), 'ok')
    await assertAbsent(store, second.key)
  }),

  requirement(
    'destroy without a base ends the entry, whatever its version',
    revocable,
    async (store, trial) => {
      const { key, entry } = await trial.keep(store)
      applied(await store.replace(key, payload(), trial.in(HOUR), entry))
      assert.equal(await store.destroy(key), 'ok')
      await assertAbsent(store, key)
    },
  ),

  requirement('touch leaves payload and version alone', onServer, async (store, trial) => {
    const text = payload()
    const { key, entry } = await trial.keep(store, text)
    assert.equal(await store.touch(key, trial.in(2 * HOUR)), 'ok')
    await assertKept(store, key, text)
    applied(await store.replace(key, payload(), trial.in(HOUR), entry))
  }),

  requirement('a touch between read and destroy causes no conflict', revocable, async (store, trial) => {
    const { key, entry } = await trial.keep(store)
    assert.equal(await store.touch(key, trial.in(2 * HOUR)), 'ok')
    assert.equal(await store.destroy(key, entry), 'ok')
    await assertAbsent(store, key)
  }),

  requirement('a read that extends the life causes no conflict', onServer, async (store, trial) => {
    const { key, entry } = await trial.keep(store, payload(), trial.in(MINUTE))
    assert.ok(await store.read(key, trial.in(HOUR)))
    applied(await store.replace(key, payload(), trial.in(HOUR), entry))
  }),

  requirement(
    'an old base stays old after destroy and create under the same key',
    revocable,
    async (store, trial) => {
      const { key, entry } = await trial.keep(store)
      await store.destroy(key)
      const text = payload()
      applied(await store.create(key, text, trial.in(HOUR)))
      assert.equal(await store.replace(key, payload(), trial.in(HOUR), entry), 'conflict')
      assert.equal(await store.destroy(key, entry), 'conflict')
      await assertKept(store, key, text)
    },
  ),

  requirement(
    'a version is compared in full, to the last character and its case',
    onServer,
    async (store, trial) => {
      const head = version().slice(0, -2)
      for (const [old, now] of [
        ['aa', 'ab'],
        ['aa', 'aA'],
        ['Aa', 'aa'],
        ['a-', 'a_'],
      ]) {
        const text = `${head}${now} body`
        const { key, entry } = await trial.keep(store, `${head}${old} body`)
        applied(await store.replace(key, text, trial.in(HOUR), entry))
        assert.equal(await store.replace(key, payload(), trial.in(HOUR), entry), 'conflict')
        assert.equal(await store.destroy(key, entry), 'conflict')
        await assertKept(store, key, text)
      }
    },
  ),

  requirement(
    'payloads that differ in nothing but the version are different',
    onServer,
    async (store, trial) => {
      const body = ' 1700000000000\n"n" J 0'
      const { key, entry } = await trial.keep(store, payload(body))
      const text = payload(body)
      applied(await store.replace(key, text, trial.in(HOUR), entry))
      assert.equal(await store.replace(key, payload(body), trial.in(HOUR), entry), 'conflict')
      await assertKept(store, key, text)
    },
  ),
]
