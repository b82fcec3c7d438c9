import assert from 'node:assert/strict'
import type { Store } from '../../store.ts'
import { everywhere, onServer, requirement, type StoreRequirement } from '../requirement.ts'
import { applied, assertAbsent, assertKept, DAY, found, HOUR, MINUTE, payload, type Trial } from '../trial.ts'

const LIFE: number = 5 * MINUTE

/** An entry lives until its `expiresAt`, and no longer. */
export const expiry: readonly StoreRequirement[] = [
  requirement('an entry lives until its expiresAt and not longer', everywhere, async (store, trial) => {
    await livesFor(store, trial, LIFE)
  }),

  requirement('an entry may live for 31 days', everywhere, async (store, trial) => {
    await livesFor(store, trial, 31 * DAY)
  }),

  requirement('an entry may live for 10 years', everywhere, async (store, trial) => {
    await livesFor(store, trial, 3_653 * DAY)
  }),

  requirement(
    'expiry is exact to the resolution',
    (_, harness) => harness.still === true,
    async (store, trial) => {
      const text = payload()
      const { key } = await trial.keep(store, text, trial.in(LIFE))
      await trial.pass(LIFE - 1)
      await assertKept(store, key, text)
      await trial.pass(store.traits.resolution)
      await assertAbsent(store, key)
    },
  ),

  requirement('what has expired is absent for every verb', onServer, async (store, trial) => {
    const [read, extended, replaced, touched, ended, endedFrom] = await Promise.all(
      Array.from({ length: 6 }, async () => trial.keep(store, payload(), trial.in(LIFE))),
    )
    assert.ok(read && extended && replaced && touched && ended && endedFrom)
    await trial.outlive(store, LIFE)
    assert.equal(await store.read(read.key), undefined)
    assert.equal(await store.read(extended.key, trial.in(HOUR)), undefined)
    assert.equal(await store.replace(replaced.key, payload(), trial.in(HOUR), replaced.entry), 'gone')
    assert.equal(await store.touch(touched.key, trial.in(HOUR)), 'gone')
    assert.equal(await store.destroy(ended.key), 'gone')
    assert.equal(await store.destroy(endedFrom.key, endedFrom.entry), 'gone')
    for (const { key } of [read, extended, replaced, touched, ended, endedFrom])
      await assertAbsent(store, key)
  }),

  requirement(
    'create over an expired entry makes a new entry with a new life',
    onServer,
    async (store, trial) => {
      const { key, entry } = await trial.keep(store, payload(), trial.in(LIFE))
      await trial.outlive(store, LIFE)
      const text = payload()
      const moment = trial.in(LIFE)
      applied(await store.create(key, text, moment))
      trial.assertMoment(store, (await assertKept(store, key, text)).expiresAt, moment)
      assert.equal(await store.replace(key, payload(), trial.in(HOUR), entry), 'conflict')
      await trial.almost(store, LIFE)
      await assertKept(store, key, text)
      await trial.rest(store)
      await assertAbsent(store, key)
    },
  ),

  requirement(
    'a create with an expiresAt in the past is applied, and the entry is absent',
    everywhere,
    async (store, trial) => {
      const { key, entry } = await trial.keep(store, payload(), trial.in(-HOUR))
      await assertAbsent(store, key)
      if (store.traits.location === 'server') assert.equal(await store.touch(key, trial.in(HOUR)), 'gone')
      const text = payload()
      const anew = found(key, applied(await store.create(entry.key ?? key, text, trial.in(HOUR))))
      await assertKept(store, anew.key, text)
    },
  ),

  requirement('replace may shorten the life', everywhere, async (store, trial) => {
    const { key, entry } = await trial.keep(store, payload(), trial.in(DAY))
    const now = found(key, applied(await store.replace(key, payload(), trial.in(LIFE), entry)))
    await trial.almost(store, LIFE)
    assert.ok(await store.read(now.key))
    await trial.rest(store)
    await assertAbsent(store, now.key)
  }),

  requirement('replace may lengthen the life', everywhere, async (store, trial) => {
    const text = payload()
    const { key, entry } = await trial.keep(store, payload(), trial.in(LIFE))
    const now = found(key, applied(await store.replace(key, text, trial.in(DAY), entry)))
    await trial.almost(store, DAY)
    await assertKept(store, now.key, text)
    await trial.rest(store)
    await assertAbsent(store, now.key)
  }),

  requirement(
    'a replace with an expiresAt in the past is applied, and ends the entry',
    onServer,
    async (store, trial) => {
      const { key, entry } = await trial.keep(store)
      applied(await store.replace(key, payload(), trial.in(-HOUR), entry))
      await assertAbsent(store, key)
      assert.equal(await store.touch(key, trial.in(HOUR)), 'gone')
    },
  ),

  requirement('the expiry of one entry leaves other entries alone', onServer, async (store, trial) => {
    const text = payload()
    const short = await trial.keep(store, payload(), trial.in(LIFE))
    const long = await trial.keep(store, text, trial.in(DAY))
    await trial.outlive(store, LIFE)
    await assertAbsent(store, short.key)
    await assertKept(store, long.key, text)
  }),
]

async function livesFor(store: Store, trial: Trial, life: number): Promise<void> {
  const text = payload()
  const moment = trial.in(life)
  const { key, entry } = await trial.keep(store, text, moment)
  trial.assertMoment(store, entry.expiresAt, moment)
  trial.assertMoment(store, (await assertKept(store, key, text)).expiresAt, moment)
  await trial.almost(store, life)
  await assertKept(store, key, text)
  await trial.rest(store)
  await assertAbsent(store, key)
}
