import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import type { Store } from '../../store.ts'
import { onServer, requirement, type StoreRequirement } from '../requirement.ts'
import { both, CROWD, ROUNDS, turn } from './concurrently.ts'
import { applied, assertKept, HOUR, MINUTE, payload, type Trial } from '../trial.ts'

const WORKERS = 8
const STEPS = 12

/** That each verb is one step: whoever comes at the same time finds the state before it or the state after it. */
export const races: readonly StoreRequirement[] = [
  requirement('of many creates at once one wins, and the rest are told', onServer, async (store, trial) => {
    const stores = await trial.pair(store)
    await oneCreateWins(stores, trial, trial.key())
  }),

  requirement('of many creates at once where somebody expired one wins', onServer, async (store, trial) => {
    const stores = await trial.pair(store)
    const { key } = await trial.keep(store, payload(), trial.in(MINUTE))
    await trial.outlive(store, MINUTE)
    await oneCreateWins(stores, trial, key)
  }),

  requirement(
    'of many replaces from one base one wins, and the rest are conflicts',
    onServer,
    async (store, trial) => {
      const stores = await trial.pair(store)
      const { key, entry } = await trial.keep(store)
      const texts = Array.from({ length: CROWD }, (_, at) => payload(`\n"writer" J ${at}`))
      const outcomes = await Promise.all(
        texts.map(async (text, at) => turn(stores, at).replace(key, text, trial.in(HOUR), entry)),
      )
      const winners = texts.filter((_, at) => typeof outcomes[at] === 'object')
      assert.equal(winners.length, 1, 'exactly one replace is applied')
      assert.equal(outcomes.filter((outcome) => outcome === 'conflict').length, CROWD - 1)
      await assertKept(store, key, String(winners[0]))
    },
  ),

  requirement('of increments by many workers none is lost', onServer, async (store, trial) => {
    const stores = await trial.pair(store)
    const { key } = await trial.keep(store, payload('\n"n" J 0'))
    await Promise.all(
      Array.from({ length: WORKERS }, async (_, at) => {
        for (let step = 0; step < STEPS; step += 1) await increment(turn(stores, at), trial, key)
      }),
    )
    const end = await store.read(key)
    assert.ok(end)
    assert.equal(counted(end.payload), WORKERS * STEPS)
  }),

  requirement('of replace and touch at once, both are applied', onServer, async (store, trial) => {
    const [one, other] = await trial.pair(store)
    for (let round = 0; round < ROUNDS; round += 1) {
      const { key, entry } = await trial.keep(one)
      const text = payload()
      const [written, touched] = await both(
        round,
        async () => one.replace(key, text, trial.in(HOUR), entry),
        async () => other.touch(key, trial.in(2 * HOUR)),
      )
      assert.equal(touched, 'ok')
      applied(written)
      await assertKept(other, key, text)
    }
  }),

  requirement(
    'who finds an expired entry does not remove the one created anew meanwhile',
    onServer,
    async (store, trial) => {
      const [one, other] = await trial.pair(store)
      const expired = await Promise.all(
        Array.from({ length: ROUNDS }, async () => trial.keep(one, payload(), trial.in(MINUTE))),
      )
      await trial.outlive(store, MINUTE)
      for (const [round, { key, entry }] of expired.entries()) {
        const text = payload()
        const [created] = await both(
          round,
          async () => one.create(key, text, trial.in(HOUR)),
          async () =>
            Promise.all([
              other.read(key),
              other.replace(key, payload(), trial.in(HOUR), entry),
              other.destroy(key, entry),
            ]),
        )
        applied(created)
        await assertKept(one, key, text)
      }
    },
  ),

  requirement(
    'who reads during a replace sees the old payload or the new one',
    onServer,
    async (store, trial) => {
      const [one, other] = await trial.pair(store)
      const length = Math.min(200_000, store.traits.maxBytes - 100)
      let text = payload('a'.repeat(length))
      let { key, entry } = await trial.keep(one, text)
      for (let round = 0; round < 5; round += 1) {
        const next = payload(String(round).repeat(length))
        const writing = one.replace(key, next, trial.in(HOUR), entry)
        const reading = [other.read(key)]
        for (let reader = 1; reader < 20; reader += 1) {
          await (reader % 4 === 0 ? setImmediate() : undefined)
          reading.push(other.read(key))
        }
        for (const seen of await Promise.all(reading)) {
          assert.ok(seen !== undefined, 'a living entry is there throughout')
          assert.ok(seen.payload === text || seen.payload === next, 'neither the old payload nor the new one')
        }
        entry = applied(await writing).entry
        text = next
      }
    },
  ),
]

async function oneCreateWins(stores: readonly [Store, Store], trial: Trial, key: string): Promise<void> {
  const texts = Array.from({ length: CROWD }, (_, at) => payload(`\n"writer" J ${at}`))
  const outcomes = await Promise.all(
    texts.map(async (text, at) => turn(stores, at).create(key, text, trial.in(HOUR))),
  )
  const winners = texts.filter((_, at) => typeof outcomes[at] === 'object')
  assert.equal(winners.length, 1, 'exactly one create is applied')
  assert.equal(outcomes.filter((outcome) => outcome === 'exists').length, CROWD - 1)
  for (const store of stores) await assertKept(store, key, String(winners[0]))
}

/** One increment by compare-and-swap. In each round somebody wins, so that the others bound the number of tries. */
async function increment(store: Store, trial: Trial, key: string): Promise<void> {
  for (let tries = 0; tries <= WORKERS * STEPS; tries += 1) {
    const base = await store.read(key)
    assert.ok(base)
    const text = payload(`\n"n" J ${counted(base.payload) + 1}`)
    const outcome = await store.replace(key, text, trial.in(HOUR), base)
    if (outcome !== 'conflict') return void applied(outcome)
  }
  assert.fail(
    'every conflict means that another write was applied, and there were more conflicts than writes',
  )
}

function counted(text: string): number {
  return Number(text.slice(text.lastIndexOf(' ') + 1))
}
