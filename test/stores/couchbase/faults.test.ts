import couchbase, { type Collection } from 'couchbase'
import test from 'ava'
import type { Entry } from '../../../src/store.ts'
import { CouchbaseStore } from '../../../src/stores/couchbase.ts'
import { startCouchbaseMock } from '../../servers/couchbase.ts'
import { until } from '../../servers/redis.ts'
import { freeze } from '../../servers/server.ts'

const KEY = 'a'.repeat(64)
const TROUBLE = { name: 'SessionError', code: 'ERR_SESSION_STORE' }
const [BUSY, OUT_OF_MEMORY] = [0x86, 0x82] // the driver itself tries again in the first case, and not in the second
let versions = 0
const payload = (body = ''): string =>
  `kts1 ${String((versions += 1)).padStart(16, '0')} 1700000000000${body}`
const soon = (): number => Date.now() + 60_000

const server = await startCouchbaseMock()
test.after.always(async () => server.stop())
test.afterEach.always(async () => server.fail(BUSY, 0))

/** For what is not about deadlines: to connect may take seconds on a busy machine. */
const patient = new CouchbaseStore({ url: server.url, timeout: 60_000 })
test.after.always(async () => patient.close())

/** Connects a store whose timeout may be too short for that. */
async function connected(store: CouchbaseStore): Promise<void> {
  await until('the store is connected', async () => store.read('b'.repeat(64)).then(() => true))
}

async function keep(store: CouchbaseStore, key: string = KEY): Promise<Entry> {
  await store.destroy(key)
  const written = await store.create(key, payload(), soon())
  if (written === 'exists') throw new Error('there is an entry already')
  return written.entry
}

test.serial('F3: if the server never answers, every verb rejects at the deadline', async (t) => {
  const store = new CouchbaseStore({ url: server.url, timeout: 3_000 })
  await connected(store)
  const entry = await keep(patient)
  const fresh = new CouchbaseStore({ url: server.url, timeout: 3_000 })
  freeze(server.pid)
  const calls = [
    store.read(KEY),
    store.create(KEY, payload(), soon()),
    store.replace(KEY, payload(), soon(), entry),
    store.touch(KEY, soon()),
    ...Array.from({ length: 100 }, async () => store.read(KEY)),
    fresh.open(),
  ]
  const outcomes = await Promise.allSettled(calls)
  process.kill(server.pid, 'SIGCONT') // whatever came of it, since the other tests need the server
  for (const outcome of outcomes) {
    t.is(outcome.status, 'rejected')
    if (outcome.status === 'rejected') t.like(outcome.reason, { ...TROUBLE, message: outcome.reason.message })
    if (outcome.status === 'rejected') t.regex(outcome.reason.message, /no answer within/)
  }
  const later = new CouchbaseStore({ url: server.url, timeout: 20_000 })
  const now = await later.read(KEY)
  if (now) t.is(typeof (await later.replace(KEY, payload(), soon(), now)), 'object')
  else t.fail('the session is gone, though it was not destroyed')
  await Promise.all([store.close(), fresh.close(), later.close()])
})

test.serial('F11: a busy server is asked again', async (t) => {
  const store = new CouchbaseStore({ url: server.url })
  for (const status of [BUSY, OUT_OF_MEMORY]) {
    const entry = await keep(store)
    await server.fail(status, 3)
    t.is((await store.read(KEY))?.payload, entry.payload)
    await server.fail(status, 3)
    t.is(typeof (await store.replace(KEY, payload(), soon(), entry)), 'object')
    await server.fail(status, 3)
    t.is(await store.touch(KEY, soon() + 1_000), 'ok')
    await server.fail(status, 3)
    t.is(await store.destroy(KEY), 'ok')
    await server.fail(status, 3)
    t.is(typeof (await store.create(KEY, payload(), soon())), 'object')
  }
  await store.close()
})

test.serial(
  'F11: if the server stays busy, a write rejects at the deadline and changes nothing',
  async (t) => {
    const store = new CouchbaseStore({ url: server.url, timeout: 700 })
    await connected(store)
    for (const status of [BUSY, OUT_OF_MEMORY]) {
      const entry = await keep(patient)
      await server.fail(status, 1_000_000)
      const error = await t.throwsAsync(store.replace(KEY, payload(), soon(), entry), TROUBLE)
      // Where the time ends while a try is under way, that one has not been answered, and may still be applied.
      const { answered, message = '' } = Object(error)
      const said =
        answered === true ? /: the server has no room, or is too busy$/ : /: no answer within the timeout$/
      t.regex(String(message), said)
      await server.fail(status, 0)
      const { payload: stored } = (await patient.read(KEY)) ?? {}
      t.truthy(stored)
      if (answered === true) t.is(stored, entry.payload)
    }
    await store.close()
  },
)

test.serial('F11: a locked document is waited for', async (t) => {
  const client = await couchbase.connect(`couchbase://127.0.0.1:${server.port}`, {
    username: 'Administrator',
    password: 'password',
  })
  const collection = client.bucket('default').defaultCollection()
  const store = new CouchbaseStore({ client: collection, prefix: 'locked:' })
  const entry = await keep(store)
  const transcoder = { encode: (): [Buffer, number] => [Buffer.alloc(0), 0], decode: String }
  const { cas } = await collection.getAndLock(`locked:${KEY}`, 15, { transcoder })
  const replacing = store.replace(KEY, payload(), soon(), entry)
  await collection.unlock(`locked:${KEY}`, cas)
  t.is(typeof (await replacing), 'object')
  await store.close()
  await client.close()
})

/** A collection that applies nothing and fails as the driver does: with the name of the document in the error. */
function failing(error: Error): Collection {
  async function fail(): Promise<never> {
    throw error
  }
  const fake: unknown = { get: fail, insert: fail, replace: fail, remove: fail }
  return fake as Collection // nothing else of a collection is used
}

function driverError(kind: new () => Error, reasons: readonly string[] = []): Error {
  return Object.assign(new kind(), { context: { key: KEY, retry_reasons: reasons }, cause: { id: KEY } })
}

const failures: ReadonlyArray<readonly [error: Error, code: string, complaint: RegExp]> = [
  [
    driverError(couchbase.AmbiguousTimeoutError),
    'ERR_SESSION_STORE',
    /read failed: no answer within the timeout$/,
  ],
  [
    driverError(couchbase.UnambiguousTimeoutError, ['key_value_collection_outdated']),
    'ERR_SESSION_STORE',
    /there is no such scope or collection$/,
  ],
  [
    driverError(couchbase.AmbiguousTimeoutError, ['socket_closed_while_in_flight']),
    'ERR_SESSION_STORE',
    /in_flight$/,
  ],
  [driverError(couchbase.AuthenticationFailureError), 'ERR_SESSION_STORE', /refuses this user and password$/],
  [driverError(couchbase.ValueTooLargeError), 'ERR_SESSION_LIMIT', /accepts no document as large as this$/],
  [
    driverError(couchbase.DurabilityImpossibleError),
    'ERR_SESSION_STORE',
    /read failed: durability impossible$/,
  ],
]
for (const [error, code, complaint] of failures) {
  test(`${error.name} becomes ${code} ${complaint.source}, and names no document`, async (t) => {
    const store = new CouchbaseStore({ client: failing(error) })
    const told = await t.throwsAsync(store.read(KEY), { name: 'SessionError', code, message: complaint })
    for (let each: unknown = told; each instanceof Error; each = each.cause) {
      t.notRegex(`${each.message} ${each.stack} ${JSON.stringify(each)}`, new RegExp(KEY))
    }
  })
}

test('F27: an error says whether the server has answered', async (t) => {
  const busy = ['key_value_temporary_failure']
  for (const [error, answered] of [
    [driverError(couchbase.TemporaryFailureError), true],
    [driverError(couchbase.AuthenticationFailureError), true],
    [driverError(couchbase.QuotaLimitedError), true],
    [driverError(couchbase.RateLimitedError), true],
    [driverError(couchbase.DurabilityImpossibleError), true],
    [driverError(couchbase.BucketNotFoundError), true],
    // The driver repeats by itself what a busy server refuses.
    [driverError(couchbase.AmbiguousTimeoutError, busy), true],
    [driverError(couchbase.UnambiguousTimeoutError, busy), true],
    [driverError(couchbase.AmbiguousTimeoutError, [...busy, 'socket_closed_while_in_flight']), false],
    [driverError(couchbase.AmbiguousTimeoutError), false],
    [driverError(couchbase.UnambiguousTimeoutError, ['node_not_available']), false],
    [driverError(couchbase.RequestCanceledError), false],
    [driverError(couchbase.ServiceNotAvailableError), false],
    [new Error('anything else'), false],
  ] as const) {
    const store = new CouchbaseStore({ client: failing(error), timeout: 300 })
    const told = await t.throwsAsync(store.create(KEY, payload(), soon()))
    t.like(told, { ...TROUBLE, answered }, error.name)
  }
})
