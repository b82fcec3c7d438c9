import assert from 'node:assert/strict'
import type { StoreTraits } from '../../store.ts'
import { everywhere, onServer, requirement, type StoreRequirement } from '../requirement.ts'
import { applied, assertAbsent, assertKept, HOUR, payload } from '../trial.ts'

/** Processes see each other's changes, entries outlive a process, and a closed store stays closed. */
export const durability: readonly StoreRequirement[] = [
  requirement("two stores on one backend see each other's changes", shared, async (store, trial) => {
    const other = await trial.open()
    const first = payload()
    const { key } = await trial.keep(store, first)
    const seen = await assertKept(other, key, first)

    const second = payload()
    const { entry } = applied(await other.replace(key, second, trial.in(HOUR), seen))
    await assertKept(store, key, second)

    const moment = trial.in(2 * HOUR)
    assert.equal(await store.touch(key, moment), 'ok')
    trial.assertMoment(store, (await assertKept(other, key, second)).expiresAt, moment)

    assert.equal(await store.create(key, payload(), moment), 'exists')
    assert.equal(await store.destroy(key, entry), 'ok')
    await assertAbsent(other, key)
  }),

  requirement('a base from one store is valid in another', shared, async (store, trial) => {
    const other = await trial.open()
    const { key, entry } = await trial.keep(store)
    const next = applied(await other.replace(key, payload(), trial.in(HOUR), entry)).entry
    assert.equal(await store.replace(key, payload(), trial.in(HOUR), entry), 'conflict')
    assert.equal(await store.destroy(key, next), 'ok')
  }),

  requirement('an entry is still there after close and open', durable, async (store, trial) => {
    const moment = trial.in(HOUR)
    const text = payload()
    const { key } = await trial.keep(store, text, moment)
    await store.close()
    const next = await trial.open()
    const entry = await assertKept(next, key, text)
    trial.assertMoment(next, entry.expiresAt, moment)
    applied(await next.replace(key, payload(), moment, entry))
    assert.equal(await next.destroy(key), 'ok')
  }),

  requirement('closing one store does not close another', shared, async (store, trial) => {
    const other = await trial.open()
    const text = payload()
    const { key } = await trial.keep(store, text)
    await store.close()
    await assertKept(other, key, text)
    assert.equal(await other.touch(key, trial.in(2 * HOUR)), 'ok')
  }),

  requirement('close may be called again, also at the same time', everywhere, async (store, trial) => {
    await trial.keep(store)
    await Promise.all([store.close(), store.close()])
    await store.close()
  }),

  requirement('a store that was never used can be closed', everywhere, async (store) => {
    await store.close()
  }),

  requirement('after close every verb rejects', onServer, async (store, trial) => {
    const { key, entry } = await trial.keep(store)
    await store.close()
    const calls = [
      store.read(key),
      store.read(key, trial.in(HOUR)),
      store.create(trial.key(), payload(), trial.in(HOUR)),
      store.replace(key, payload(), trial.in(HOUR), entry),
      store.touch(key, trial.in(HOUR)),
      store.destroy(key),
      store.destroy(key, entry),
    ]
    for (const outcome of await Promise.allSettled(calls)) {
      assert.equal(outcome.status, 'rejected')
      assert.equal(outcome.reason?.name, 'SessionError')
      assert.equal(outcome.reason?.code, 'ERR_SESSION_STORE')
    }
  }),
]

function shared(traits: StoreTraits): boolean {
  return traits.location === 'server' && traits.shared
}

function durable(traits: StoreTraits): boolean {
  return traits.location === 'server' && traits.durable
}
