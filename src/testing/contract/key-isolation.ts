import assert from 'node:assert/strict'
import type { Store } from '../../store.ts'
import { onServer, requirement, type StoreRequirement } from '../requirement.ts'
import { applied, assertAbsent, assertKept, HOUR, payload, type Trial } from '../trial.ts'

const MANY = 500

/** A change under one key changes no other key. */
export const keyIsolation: readonly StoreRequirement[] = [
  requirement('keys that begin alike are different keys', onServer, async (store, trial) => {
    const key = trial.key()
    await staysApart(store, trial, [key, `${key}0`, `${key}_`, `${key}-1`, key.slice(0, -1), key.slice(1)])
  }),

  requirement('keys that differ only in case are different keys', onServer, async (store, trial) => {
    const key = `${trial.key().slice(0, 61)}abC`
    await staysApart(store, trial, [key, key.toUpperCase(), key.toLowerCase()])
  }),

  requirement('keys have 1 to 128 characters', onServer, async (store, trial) => {
    const long = trial.key() + trial.key()
    assert.equal(long.length, 128)
    await staysApart(store, trial, ['k', 'K', '0', '-', '_', long, `${long.slice(0, -1)}g`])
  }),

  requirement('names that are special elsewhere are ordinary keys', onServer, async (store, trial) => {
    await staysApart(store, trial, [
      '__proto__',
      'constructor',
      'toString',
      'nul',
      'CON',
      '--help',
      '-rf',
      'NULL',
      '00',
      '0e0',
    ])
  }),

  requirement('500 keys at once keep their own payloads', onServer, async (store, trial) => {
    const keys = Array.from({ length: MANY }, () => trial.key())
    const firsts = keys.map((_, at) => payload(`\n"first" J ${at}`))
    const lasts = keys.map((_, at) => payload(`\n"last" J ${at}`))
    await Promise.all(
      keys.map(async (key, at) => {
        const { entry } = applied(await store.create(key, String(firsts[at]), trial.in(HOUR)))
        await assertKept(store, key, String(firsts[at]))
        if (at % 3 === 0) return store.destroy(key)
        return applied(await store.replace(key, String(lasts[at]), trial.in(HOUR), entry))
      }),
    )
    await Promise.all(
      keys.map(async (key, at) =>
        at % 3 === 0 ? assertAbsent(store, key) : assertKept(store, key, String(lasts[at])),
      ),
    )
  }),
]

/** Creates, replaces, touches and destroys each of `keys` in turn, and checks all others after each step. */
async function staysApart(store: Store, trial: Trial, keys: readonly string[]): Promise<void> {
  const texts = new Map<string, string>()
  async function assertAll(): Promise<void> {
    for (const [key, text] of texts) await assertKept(store, key, text)
  }
  for (const key of keys) await store.destroy(trial.named(key))
  for (const key of keys) {
    await assertAbsent(store, key)
    const { entry } = applied(await store.create(key, payload(), trial.in(HOUR)))
    await assertAll()
    const text = payload()
    applied(await store.replace(key, text, trial.in(HOUR), entry))
    texts.set(key, text)
    assert.equal(await store.touch(key, trial.in(2 * HOUR)), 'ok')
    await assertAll()
  }
  for (const key of keys) {
    assert.equal(await store.destroy(key), 'ok')
    texts.delete(key)
    await assertAbsent(store, key)
    await assertAll()
  }
}
