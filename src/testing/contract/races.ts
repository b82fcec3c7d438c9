import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import type { Store, Written } from '../../store.ts'
import {
  onClient,
  onServer,
  requirement,
  revocable,
  type Condition,
  type StoreRequirement,
} from '../requirement.ts'
import {
  applied,
  assertAbsent,
  assertKept,
  found,
  HOUR,
  MINUTE,
  payload,
  type StoredEntry,
  type Trial,
} from '../trial.ts'

/** How often two verbs race each other. */
const ROUNDS = 20

/** How many calls run at once where all do the same. */
const CROWD = 20

const WORKERS = 8
const STEPS = 12

const credentialsRevocable: Condition = (traits, harness) => onClient(traits, harness) && traits.revocable

/** Verbs that must not undo a destroy that runs at the same time. */
const rivalsOfDestroy: Readonly<
  Record<string, (store: Store, kept: StoredEntry, trial: Trial) => Promise<unknown>>
> = {
  replace: async (store, { key, entry }, trial) => store.replace(key, payload(), trial.in(HOUR), entry),
  touch: async (store, { key }, trial) => store.touch(key, trial.in(2 * HOUR)),
  'an extending read': async (store, { key }, trial) => store.read(key, trial.in(2 * HOUR)),
}

/** Each verb is atomic: a call at the same time finds the state before it or the state after it. */
export const races: readonly StoreRequirement[] = [
  requirement(
    'of many creates at once one is applied, and the rest answer exists',
    onServer,
    async (store, trial) => {
      const stores = await trial.pair(store)
      await oneCreateIsApplied(stores, trial, trial.key())
    },
  ),

  requirement(
    'of many creates at once over an expired entry one is applied',
    onServer,
    async (store, trial) => {
      const stores = await trial.pair(store)
      const { key } = await trial.keep(store, payload(), trial.in(MINUTE))
      await trial.outlive(store, MINUTE)
      await oneCreateIsApplied(stores, trial, key)
    },
  ),

  requirement(
    'of many replaces from one base one is applied, and the rest are conflicts',
    onServer,
    async (store, trial) => {
      const stores = await trial.pair(store)
      const { key, entry } = await trial.keep(store)
      await oneIsApplied(stores, key, 'conflict', async (each, text) =>
        each.replace(key, text, trial.in(HOUR), entry),
      )
    },
  ),

  requirement('of the increments of many workers none is lost', onServer, async (store, trial) => {
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
    'a verb that finds an expired entry does not remove one created at the same time',
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
    'a read during a replace sees the old payload or the new one',
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
          assert.ok(seen !== undefined, 'the entry is missing during a replace')
          assert.ok(
            seen.payload === text || seen.payload === next,
            'a read returned neither the old payload nor the new one',
          )
        }
        entry = applied(await writing).entry
        text = next
      }
    },
  ),

  ...Object.entries(rivalsOfDestroy).map(([verb, run]) =>
    requirement(`after ${verb} and destroy at once the entry is gone`, revocable, async (store, trial) => {
      const [one, other] = await trial.pair(store)
      for (let round = 0; round < ROUNDS; round += 1) {
        const kept = await trial.keep(one)
        const rival = async (): Promise<unknown> => run(one, kept, trial)
        const [ended] = await both(round, async () => other.destroy(kept.key), rival)
        assert.equal(ended, 'ok')
        await assertAbsent(one, kept.key)
      }
    }),
  ),

  requirement(
    'of replace and destroy at once with one base, one is applied',
    revocable,
    async (store, trial) => {
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
    },
  ),

  requirement(
    'of many destroys at once one answers ok, and the rest gone',
    revocable,
    async (store, trial) => {
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
    },
  ),

  requirement(
    'destroy revokes all credentials of a session, for all stores',
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
      assert.deepEqual(outcomes.toSorted(), ['gone', 'ok'], 'exactly one destroy must answer ok')
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
    'after create and destroy at once the answers tell what is stored',
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

async function oneCreateIsApplied(stores: readonly [Store, Store], trial: Trial, key: string): Promise<void> {
  await oneIsApplied(stores, key, 'exists', async (store, text) => store.create(key, text, trial.in(HOUR)))
}

/** Of many writes at once exactly one is applied, and all others get the answer `refusal`. */
async function oneIsApplied(
  stores: readonly [Store, Store],
  key: string,
  refusal: string,
  write: (store: Store, text: string) => Promise<Written | string>,
): Promise<void> {
  const texts = Array.from({ length: CROWD }, (_, at) => payload(`\n"writer" J ${at}`))
  const outcomes = await Promise.all(texts.map(async (text, at) => write(turn(stores, at), text)))
  const winners = texts.filter((_, at) => typeof outcomes[at] === 'object')
  assert.equal(winners.length, 1, 'exactly one write must be applied')
  assert.equal(outcomes.filter((outcome) => outcome === refusal).length, CROWD - 1)
  for (const store of stores) await assertKept(store, key, String(winners[0]))
}

/** One increment by compare-and-swap. Each conflict means that another write was applied, which bounds the number of tries. */
async function increment(store: Store, trial: Trial, key: string): Promise<void> {
  for (let tries = 0; tries <= WORKERS * STEPS; tries += 1) {
    const base = await store.read(key)
    assert.ok(base)
    const text = payload(`\n"n" J ${counted(base.payload) + 1}`)
    const outcome = await store.replace(key, text, trial.in(HOUR), base)
    if (outcome !== 'conflict') return void applied(outcome)
  }
  assert.fail('there were more conflicts than writes that can have caused them')
}

function counted(text: string): number {
  return Number(text.slice(text.lastIndexOf(' ') + 1))
}

/** Starts two calls at the same moment: in even rounds the first one first, in odd rounds the second one. */
async function both<A, B>(round: number, one: () => Promise<A>, other: () => Promise<B>): Promise<[A, B]> {
  if (round % 2 === 0) return Promise.all([one(), other()])
  const second = other()
  return Promise.all([one(), second])
}

/** The two stores by turns. */
function turn([one, other]: readonly [Store, Store], at: number): Store {
  return at % 2 === 0 ? one : other
}
