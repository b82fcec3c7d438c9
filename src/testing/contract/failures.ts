import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import type { Store } from '../../store.ts'
import type { StoreHarness } from '../harness.ts'
import { onServer, requirement, type Condition, type StoreRequirement } from '../requirement.ts'
import { applied, assertAbsent, assertKept, HOUR, payload, type StoredEntry, type Trial } from '../trial.ts'

const SECRET = 'swordfish'

const breakable: Condition = (traits, harness) =>
  onServer(traits, harness) && harness.break !== undefined && harness.mend !== undefined

const refusable: Condition = (traits, harness) =>
  onServer(traits, harness) && harness.refuse !== undefined && harness.admit !== undefined

/** A call that will fail, and the payload that is stored before and, if it is applied nevertheless, after it. */
interface Attempt {
  readonly verb: 'create' | 'read' | 'replace' | 'touch' | 'destroy'
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
        await assertDiscreet(store, attempts, true)
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
      await assertWhole(store, trial, attempts)
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

  requirement(
    'while the backend refuses to store, reads succeed, and a refusal says that it was answered',
    refusable,
    async (store, trial, harness) => {
      const attempts = await plan(store, trial)
      await whileRefusing(harness, async () => {
        for (const { verb, run } of attempts) {
          const error: unknown = await run(store).then(() => undefined, Object)
          if (verb === 'read') assert.equal(error, undefined, 'a read is rejected')
          const mustStore = verb === 'create' || verb === 'replace'
          assert.ok(error !== undefined || !mustStore, `a ${verb} is not rejected`)
          if (error === undefined) continue
          const { name, code, answered }: Partial<Record<'name' | 'code' | 'answered', unknown>> =
            Object(error)
          assert.deepEqual([name, code], ['SessionError', 'ERR_SESSION_STORE'])
          assert.equal(answered, true, `the refusal of a ${verb} does not say answered: true`)
        }
      })
    },
  ),

  requirement(
    'a refusal names no key, and neither it nor its cause shows a payload',
    refusable,
    async (store, trial, harness) => {
      const attempts = await plan(store, trial)
      await whileRefusing(harness, async () => assertDiscreet(store, attempts, false))
    },
  ),

  requirement(
    'after a refusal nothing is lost or half-written, and every verb works again',
    refusable,
    async (store, trial, harness) => {
      const attempts = await plan(store, trial)
      await whileRefusing(harness, async () => {
        await Promise.allSettled(attempts.map(async ({ run }) => run(store)))
      })
      await assertWhole(store, trial, attempts)
    },
  ),
]

/** Asserts that the errors of these calls, as far as they fail, show no key and no payload. */
async function assertDiscreet(
  store: Store,
  attempts: readonly Attempt[],
  mustReject: boolean,
): Promise<void> {
  for (const { run } of attempts) {
    const error: unknown = await run(store).then(() => undefined, Object)
    assert.ok(error !== undefined || !mustReject, 'a verb did not reject while the backend failed')
    if (error === undefined) continue
    const { message, stack }: { message?: unknown; stack?: unknown } = Object(error)
    for (const { key } of attempts)
      assert.ok(!`${String(message)} ${String(stack)}`.includes(key), 'the error shows a key')
    const shown = inspect(error, { depth: 10, maxStringLength: null })
    assert.ok(!shown.includes(SECRET), 'the error shows a payload')
  }
}

/** Asserts that each call was applied or was not, and that every verb works. */
async function assertWhole(store: Store, trial: Trial, attempts: readonly Attempt[]): Promise<void> {
  for (const { key, before, after } of attempts) {
    const now = (await store.read(key))?.payload
    assert.ok(now === before || now === after, 'neither the old state nor the new one')
  }
  const text = payload()
  const { key, entry } = await trial.keep(store, text)
  await assertKept(store, key, text)
  applied(await store.replace(key, payload(), trial.in(HOUR), entry))
  assert.equal(await store.destroy(key), 'ok')
  await assertAbsent(store, key)
}

function secret(): string {
  return payload(` ${SECRET}`)
}

/** Every verb, each on another entry. */
async function plan(store: Store, trial: Trial): Promise<readonly Attempt[]> {
  const fresh = trial.key()
  const text = secret()
  const create: Attempt = {
    verb: 'create',
    key: fresh,
    before: undefined,
    after: text,
    run: async (on) => on.create(fresh, text, trial.in(HOUR)),
  }
  async function attempt(
    verb: Attempt['verb'],
    run: (on: Store, kept: StoredEntry, next: string) => Promise<unknown>,
    result: 'same' | 'next' | 'none',
  ): Promise<Attempt> {
    const [before, next] = [secret(), secret()]
    const kept = await trial.keep(store, before)
    const after = { same: before, next, none: undefined }[result]
    return { verb, key: kept.key, before, after, run: async (on) => run(on, kept, next) }
  }
  return [
    create,
    await attempt('read', async (on, { key }) => on.read(key), 'same'),
    await attempt('read', async (on, { key }) => on.read(key, trial.in(2 * HOUR)), 'same'),
    await attempt(
      'replace',
      async (on, { key, entry }, next) => on.replace(key, next, trial.in(HOUR), entry),
      'next',
    ),
    await attempt('touch', async (on, { key }) => on.touch(key, trial.in(2 * HOUR)), 'same'),
    await attempt('destroy', async (on, { key }) => on.destroy(key), 'none'),
    await attempt('destroy', async (on, { key, entry }) => on.destroy(key, entry), 'none'),
  ]
}

async function whileBroken(harness: StoreHarness, work: () => Promise<void>): Promise<void> {
  await during(
    () => harness.break?.(),
    () => harness.mend?.(),
    work,
  )
}

async function whileRefusing(harness: StoreHarness, work: () => Promise<void>): Promise<void> {
  await during(
    () => harness.refuse?.(),
    () => harness.admit?.(),
    work,
  )
}

async function during(
  begin: () => void | Promise<void>,
  end: () => void | Promise<void>,
  work: () => Promise<void>,
): Promise<void> {
  await begin()
  try {
    await work()
  } finally {
    await end()
  }
}
