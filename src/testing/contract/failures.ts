import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import type { Store } from '../../store.ts'
import type { StoreHarness } from '../harness.ts'
import { onServer, requirement, type Condition, type StoreRequirement } from '../requirement.ts'
import { applied, assertAbsent, assertKept, HOUR, payload, type StoredEntry, type Trial } from '../trial.ts'

const SECRET = 'swordfish'

const breakable: Condition = (traits, harness) =>
  onServer(traits, harness) && harness.break !== undefined && harness.mend !== undefined

/** A call that will fail, and the payload that is stored before and, if it is applied nevertheless, after it. */
interface Attempt {
  readonly key: string
  readonly before: string | undefined
  readonly after: string | undefined
  readonly run: (store: Store) => Promise<unknown>
}

/** A failure rejects, shows no secrets, and leaves nothing half-written. */
export const failures: readonly StoreRequirement[] = [
  requirement('while the backend fails every verb rejects', breakable, async (store, trial, harness) => {
    const attempts = await plan(store, trial)
    await whileBroken(harness, async () => {
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
      await whileBroken(harness, async () => {
        for (const { run } of attempts) {
          const error = await run(store).then(
            () => assert.fail('a verb did not reject while the backend failed'),
            Object,
          )
          for (const { key } of attempts)
            assert.ok(!`${error.message} ${error.stack}`.includes(key), 'the error shows a key')
          assert.ok(
            !inspect(error, { depth: 10, maxStringLength: null }).includes(SECRET),
            'the error shows a payload',
          )
        }
      })
    },
  ),

  requirement(
    'after a failure nothing is lost or half-written, and every verb works again',
    breakable,
    async (store, trial, harness) => {
      const attempts = await plan(store, trial)
      await whileBroken(harness, async () => {
        await Promise.all(attempts.map(async ({ run }) => assert.rejects(run(store))))
      })
      for (const { key, before, after } of attempts) {
        // A failed call was applied, or it was not: there is nothing in between.
        const now = (await store.read(key))?.payload
        assert.ok(now === before || now === after, 'neither the old state nor the new one')
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
    'a store that is first used while the backend fails works afterwards',
    breakable,
    async (store, trial, harness) => {
      const key = trial.key()
      await whileBroken(harness, async () => {
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

/** Every verb, each on another entry. */
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

async function whileBroken(harness: StoreHarness, during: () => Promise<void>): Promise<void> {
  await harness.break?.()
  try {
    await during()
  } finally {
    await harness.mend?.()
  }
}
