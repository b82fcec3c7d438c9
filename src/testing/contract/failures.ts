import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import type { Store } from '../../store.ts'
import type { StoreHarness } from '../harness.ts'
import { onServer, requirement, type Condition, type StoreRequirement } from '../requirement.ts'
import { applied, assertAbsent, assertKept, HOUR, payload, type StoredEntry, type Trial } from '../trial.ts'

const SECRET = 'swordfish'

const breakable: Condition = (traits, harness) =>
  onServer(traits, harness) && harness.break !== undefined && harness.mend !== undefined

/** A verb that will fail, and the payload that is left if it was applied all the same. */
interface Attempt {
  readonly key: string
  readonly before: string | undefined
  readonly after: string | undefined
  readonly run: (store: Store) => Promise<unknown>
}

/** That trouble is told, tells no secrets, and leaves nothing half-done. */
export const failures: readonly StoreRequirement[] = [
  requirement('in trouble every verb rejects', breakable, async (store, trial, harness) => {
    const attempts = await plan(store, trial)
    await inTrouble(harness, async () => {
      for (const { run } of attempts) {
        await assert.rejects(run(store), { name: 'SessionError', code: 'ERR_SESSION_STORE' })
      }
    })
  }),

  requirement(
    'an error names no key, and neither it nor its cause shows a payload',
    breakable,
    async (store, trial, harness) => {
      const attempts = await plan(store, trial)
      await inTrouble(harness, async () => {
        for (const { run } of attempts) {
          const error = await run(store).then(() => assert.fail('a verb in trouble rejects'), Object)
          for (const { key } of attempts) assert.ok(!`${error.message} ${error.stack}`.includes(key), 'a key')
          assert.ok(!inspect(error, { depth: 10, maxStringLength: null }).includes(SECRET), 'a payload')
        }
      })
    },
  ),

  requirement(
    'after trouble nothing is lost or half-written, and all goes on',
    breakable,
    async (store, trial, harness) => {
      const attempts = await plan(store, trial)
      await inTrouble(harness, async () => {
        await Promise.all(attempts.map(async ({ run }) => assert.rejects(run(store))))
      })
      for (const { key, before, after } of attempts) {
        // The outcome of what failed is unknown: it was applied or it was not. There is nothing between.
        const now = (await store.read(key))?.payload
        assert.ok(now === before || now === after, 'neither the old state nor the one that was asked for')
      }
      const text = payload()
      const { key, entry } = await trial.keep(store, text)
      await assertKept(store, key, text)
      applied(await store.replace(key, payload(), trial.in(HOUR), entry))
      assert.equal(await store.destroy(key), 'ok')
      await assertAbsent(store, key)
    },
  ),

  requirement(
    'a store that is first used in trouble works once it is over',
    breakable,
    async (store, trial, harness) => {
      const key = trial.key()
      await inTrouble(harness, async () => {
        await assert.rejects(store.read(key), { name: 'SessionError', code: 'ERR_SESSION_STORE' })
      })
      const text = payload()
      applied(await store.create(key, text, trial.in(HOUR)))
      await assertKept(store, key, text)
    },
  ),
]

function secret(): string {
  return payload(` ${SECRET}`)
}

/** Every verb, each on an entry of its own. */
async function plan(store: Store, trial: Trial): Promise<readonly Attempt[]> {
  const fresh = trial.key()
  const text = secret()
  const create: Attempt = {
    key: fresh,
    before: undefined,
    after: text,
    run: async (on) => on.create(fresh, text, trial.in(HOUR)),
  }
  async function attempt(
    run: (on: Store, kept: StoredEntry, next: string) => Promise<unknown>,
    result: 'same' | 'next' | 'none',
  ): Promise<Attempt> {
    const [before, next] = [secret(), secret()]
    const kept = await trial.keep(store, before)
    const after = { same: before, next, none: undefined }[result]
    return { key: kept.key, before, after, run: async (on) => run(on, kept, next) }
  }
  return [
    create,
    await attempt(async (on, { key }) => on.read(key), 'same'),
    await attempt(async (on, { key }) => on.read(key, trial.in(2 * HOUR)), 'same'),
    await attempt(async (on, { key, entry }, next) => on.replace(key, next, trial.in(HOUR), entry), 'next'),
    await attempt(async (on, { key }) => on.touch(key, trial.in(2 * HOUR)), 'same'),
    await attempt(async (on, { key }) => on.destroy(key), 'none'),
    await attempt(async (on, { key, entry }) => on.destroy(key, entry), 'none'),
  ]
}

async function inTrouble(harness: StoreHarness, during: () => Promise<void>): Promise<void> {
  await harness.break?.()
  try {
    await during()
  } finally {
    await harness.mend?.()
  }
}
