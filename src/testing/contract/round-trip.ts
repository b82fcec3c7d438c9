import assert from 'node:assert/strict'
import { everywhere, onClient, onServer, requirement, type StoreRequirement } from '../requirement.ts'
import { applied, assertAbsent, assertKept, assertSame, found, HOUR, MINUTE, payload } from '../trial.ts'

/** What was stored is read back as it was stored. */
export const roundTrip: readonly StoreRequirement[] = [
  requirement(
    'the traits are valid, and the harness agrees with the store',
    everywhere,
    async (store, _, harness) => {
      const { name, resolution, maxBytes } = store.traits
      assert.match(name, /^[a-z][a-z0-9-]*$/)
      assert.ok(resolution >= 1, 'resolution must be 1 ms or more')
      assert.ok(maxBytes >= 1024, 'maxBytes must be 1024 or more')
      assert.equal(
        'sweep' in store,
        harness.sweeps ?? false,
        'the harness must say `sweeps: true` if and only if the store has sweep()',
      )
      assert.equal(
        'count' in store,
        harness.counts ?? false,
        'the harness must say `counts: true` if and only if the store has count()',
      )
    },
  ),

  requirement('what create stored is read back', everywhere, async (store, trial) => {
    const text = payload()
    const { key } = await trial.keep(store, text)
    await assertKept(store, key, text)
  }),

  requirement(
    'a store connects by itself, and open may be called again',
    everywhere,
    async (store, trial) => {
      const text = payload()
      const { key } = await trial.keep(store, text)
      await store.open?.()
      await store.open?.()
      await assertKept(store, key, text)
    },
  ),

  requirement('create and replace return the entry as it is now stored', everywhere, async (store, trial) => {
    const [first, second] = [payload(), payload()]
    const soon = trial.in(MINUTE)
    const created = await trial.keep(store, first, soon)
    assertSame(created.entry.payload, first)
    trial.assertMoment(store, created.entry.expiresAt, soon)

    const later = trial.in(HOUR)
    const { entry } = applied(await store.replace(created.key, second, later, created.entry))
    assertSame(entry.payload, second)
    trial.assertMoment(store, entry.expiresAt, later)
  }),

  requirement('read returns when the entry expires', everywhere, async (store, trial) => {
    const moment = trial.in(HOUR)
    const text = payload()
    const { key } = await trial.keep(store, text, moment)
    trial.assertMoment(store, (await assertKept(store, key, text)).expiresAt, moment)
  }),

  requirement('reading changes nothing', everywhere, async (store, trial) => {
    const { key } = await trial.keep(store)
    const [first, second, third] = [await store.read(key), await store.read(key), await store.read(key)]
    assert.ok(first)
    for (const again of [second, third]) {
      assert.ok(again)
      assertSame(again.payload, first.payload)
      trial.assertMoment(store, again.expiresAt, first.expiresAt)
    }
  }),

  requirement(
    'replace keeps the new payload and nothing of the old one',
    everywhere,
    async (store, trial) => {
      const long = payload('\n"long" J "' + 'x'.repeat(700) + '"')
      const short = payload('')
      const kept = await trial.keep(store, long)
      const now = found(kept.key, applied(await store.replace(kept.key, short, trial.in(HOUR), kept.entry)))
      await assertKept(store, now.key, short)
    },
  ),

  requirement('an entry from read is a valid base of a replace', everywhere, async (store, trial) => {
    let { key } = await trial.keep(store)
    for (let round = 0; round < 5; round += 1) {
      const base = await store.read(key)
      assert.ok(base)
      const text = payload(`\n"round" J ${round}`)
      key = found(key, applied(await store.replace(key, text, trial.in(HOUR), base))).key
      await assertKept(store, key, text)
    }
  }),

  requirement('an entry from a write is a valid base of the next write', everywhere, async (store, trial) => {
    let kept = await trial.keep(store)
    for (let round = 0; round < 5; round += 1) {
      const text = payload(`\n"round" J ${round}`)
      kept = found(kept.key, applied(await store.replace(kept.key, text, trial.in(HOUR), kept.entry)))
      await assertKept(store, kept.key, text)
    }
  }),

  requirement('an entry that was returned does not change later', onServer, async (store, trial) => {
    const moment = trial.in(HOUR)
    const { key, entry } = await trial.keep(store, payload(), moment)
    const seen = await store.read(key)
    assert.ok(seen)
    const before = [{ ...entry }, { ...seen }]
    await store.touch(key, trial.in(2 * HOUR))
    applied(await store.replace(key, payload(), trial.in(3 * HOUR), seen))
    await store.destroy(key)
    assert.deepEqual([{ ...entry }, { ...seen }], before)
  }),

  requirement(
    'a caller that changes a returned entry does not change the store',
    onServer,
    async (store, trial) => {
      const text = payload()
      const { key, entry } = await trial.keep(store, text)
      const seen = await store.read(key)
      for (const mine of [entry, seen]) Reflect.set(Object(mine), 'payload', payload(' scribbled over'))
      for (const mine of [entry, seen]) Reflect.set(Object(mine), 'expiresAt', 0)
      await assertKept(store, key, text)
    },
  ),

  requirement('only a store on the client returns a credential', everywhere, async (store, trial) => {
    const written = applied(await store.create(trial.key(), payload(), trial.in(HOUR)))
    if (store.traits.location === 'server') assert.equal(written.credential, undefined)
    else
      assert.match(
        written.credential ?? '',
        /^[\w!#$%&'*+\-.^`|~:/=]+$/,
        'a credential must be usable as a cookie value without encoding',
      )
  }),

  requirement(
    'a credential carries the key that its entry was created under',
    onClient,
    async (store, trial) => {
      const key = trial.key()
      const created = applied(await store.create(key, payload(), trial.in(HOUR)))
      assert.equal(created.entry.key, key)
      const seen = await store.read(found(key, created).key)
      assert.ok(seen)
      assert.equal(seen.key, key)
      const replaced = applied(await store.replace(key, payload(), trial.in(HOUR), seen))
      assert.equal((await store.read(found(key, replaced).key))?.key, key)
    },
  ),

  requirement('a credential that the store did not issue is absent', onClient, async (store, trial) => {
    const { key } = await trial.keep(store)
    const middle = key.length >> 1
    const other = key[middle] === 'A' ? 'B' : 'A'
    const altered = key.slice(0, middle) + other + key.slice(middle + 1)
    for (const forged of [
      '',
      'x',
      '\0',
      altered,
      key.slice(1),
      key.slice(0, -1),
      key + key,
      'é'.repeat(5_000),
    ]) {
      await assertAbsent(store, forged)
    }
  }),
]
