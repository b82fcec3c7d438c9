import { execFile } from 'node:child_process'
import { createServer, type AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import couchbase from 'couchbase'
import test from 'ava'
import { SessionError } from '../../../src/errors.ts'
import { CouchbaseStore, type CouchbaseStoreOptions } from '../../../src/stores/couchbase.ts'
import { parseCouchbaseConfig } from '../../../src/stores/couchbase/config.ts'
import { startCouchbaseMock } from '../../servers/couchbase.ts'
import { freePort } from '../../servers/server.ts'

const KEY = 'a'.repeat(64)
const PAYLOAD = 'kts1 0123456789abcdef 1700000000000'
const now = Date.now

const server = await startCouchbaseMock()
test.after.always(async () => server.stop())

const inDefault = { scope: '_default', collection: '_default' }
const bob = { username: 'bob', password: 'p@s,s', ...inDefault }
const parsed: ReadonlyArray<readonly [config: string, address: object]> = [
  ['couchbase://bob:p%40s%2Cs@a/b', { cluster: 'couchbase://a', bucket: 'b', ...bob }],
  ['couchbase://bob:p%40s%2Cs@a:1,[::1]:2/b/', { cluster: 'couchbase://a:1,[::1]:2', bucket: 'b', ...bob }],
  [
    'couchbases://bob:p%40s%2Cs@a/b/s/c?network=external',
    { cluster: 'couchbases://a?network=external', bucket: 'b', ...bob, scope: 's', collection: 'c' },
  ],
  ['http://bob:p%40s%2Cs@a:8091', { manager: 'http://a:8091', bucket: 'bob', ...bob }],
  ['http://bob:p%40s%2Cs@a/', { manager: 'http://a:8091', bucket: 'bob', ...bob }],
  ['https://bob:p%40s%2Cs@a', { manager: 'https://a:18091', bucket: 'bob', ...bob }],
  ['http://bob:p%40s%2Cs@a:1/pools/, default , b', { manager: 'http://a:1', bucket: 'b', ...bob }],
  ['http://bob:p%40s%2Cs@a:1,,b', { manager: 'http://a:1', bucket: 'b', ...bob }],
  [
    '{"save_path":"http://bob:p%40s,s@a:8091","pool":"default","bucket":"b"}',
    { manager: 'http://a:8091', bucket: 'b', ...bob },
  ],
]
for (const [config, address] of parsed) {
  test(`'${config}' names a place in a cluster`, (t) => {
    t.deepEqual(parseCouchbaseConfig(config), address as never)
  })
}

const malformed: ReadonlyArray<readonly [config: string, complaint: string]> = [
  ['', 'the address is empty'],
  ['localhost', 'the address is malformed'],
  ['couchbase://a/b', 'the address is malformed'],
  ['couchbase://bob@a/b', 'the address is malformed'],
  ['couchbase://bob:swordfish@a', 'the address is malformed'],
  ['couchbase://bob:swordfish@a b/c', 'the address is malformed'],
  ['couchbase://bob:%zzswordfish@a/b', 'the address has a % that begins no %XX'],
  ['couchbase://bob:swordfish@a/b/s/c/d', 'there is text after the collection'],
  ['redis://bob:swordfish@a/b', 'the address is malformed'],
  ['http://a:8091', 'the address names no username'],
  ['http://bob@a:8091', 'the address names no password'],
  ['http://bob:swordfish@', 'the address is malformed'],
  ['http://bob:swordfish@a:8091/ui', 'there is text after the port'],
  ['http://bob:swordfish@a:8091,other,b', "the pool is not 'default', the only one there is"],
  ['http://bob:swordfish@a:8091,default,b,c', 'there is text after the bucket'],
  ['{"save_path":', 'the JSON is malformed'],
  ['{"save_path":"http://bob:swordfish@a","bucket":7}', 'bucket in the JSON is not a string'],
  ['{"save_path":"http://bob:swordfish@a","password":"x"}', 'the JSON has other fields'],
  ['{"bucket":"b"}', 'the address is malformed'],
]
for (const [config, complaint] of malformed) {
  test(`'${config}' is refused at once: ${complaint}`, (t) => {
    const error = t.throws(() => CouchbaseStore.fromConfig(config, { now }), { instanceOf: SessionError })
    t.is(error.code, 'ERR_SESSION_OPTIONS')
    t.true(error.message.startsWith(`couchbase: ${complaint}`), error.message)
    t.regex(error.message, /; expected 'couchbase:\/\/user:password@host\/bucket'/)
    t.notRegex(error.message, /swordfish/)
  })
}

test('invalid options are refused at once', async (t) => {
  const client = await couchbase.connect(`couchbase://127.0.0.1:${server.port}`, {
    username: 'Administrator',
    password: 'password',
  })
  const collection = client.bucket('default').defaultCollection()
  const { url } = server
  const wrong: ReadonlyArray<readonly [options: CouchbaseStoreOptions, complaint: string]> = [
    [{}, 'give either url or client'],
    [{ url, client }, 'give either url or client'],
    [{ client }, 'client is a Cluster: bucket must be given'],
    [{ client: collection, bucket: 'b' }, 'client is a Collection: omit bucket, scope and collection'],
    [{ url, bucket: 'b' }, 'bucket, scope and collection belong into the url'],
    [{ url, prefix: 'é' }, 'prefix must be'],
    [{ url, timeout: 0.5 }, 'timeout must be'],
  ]
  for (const [options, complaint] of wrong) {
    const error = t.throws(() => new CouchbaseStore(options), { instanceOf: SessionError })
    t.is(error.code, 'ERR_SESSION_OPTIONS')
    t.true(error.message.startsWith(`couchbase: ${complaint}`), error.message)
  }
  await client.close()
})

const forms = [
  'couchbase://Administrator:password@127.0.0.1:NODE/default',
  'couchbase://Administrator:password@127.0.0.1:NODE/default/_default/_default',
  'http://guarded:sword@127.0.0.1:MANAGER',
  'http://Administrator:password@127.0.0.1:MANAGER,default,default',
  'http://Administrator:password@127.0.0.1:MANAGER/pools,,default',
  '{"save_path":"http://Administrator:password@127.0.0.1:MANAGER","pool":"default","bucket":"default"}',
]
for (const [at, form] of forms.entries()) {
  test.serial(`${form} opens, and keeps sessions`, async (t) => {
    const config = form.replace('NODE', String(server.port)).replace('MANAGER', String(server.managerPort))
    const store = CouchbaseStore.fromConfig(config, { now })
    await store.open()
    const key = String(at).padStart(64, '0')
    t.is(typeof (await store.create(key, PAYLOAD, now() + 60_000)), 'object')
    t.is((await store.read(key))?.payload, PAYLOAD)
    t.is(await store.destroy(key), 'ok')
    await store.close()
  })
}

test("the application's cluster or collection is used, and left open", async (t) => {
  const client = await couchbase.connect(`couchbase://127.0.0.1:${server.port}`, {
    username: 'Administrator',
    password: 'password',
  })
  const collection = client.bucket('default').defaultCollection()
  for (const options of [{ client, bucket: 'default' }, { client: collection }]) {
    const store = new CouchbaseStore({ ...options, prefix: 'handed:' })
    await store.open()
    t.is(typeof (await store.create(KEY, PAYLOAD, now() + 60_000)), 'object')
    await store.close()
    await collection.remove(`handed:${KEY}`) // which throws if it is not there
  }
  await client.close()
})

test('open reports a wrong address, bucket or user, and nothing is written to the console', async (t) => {
  const written: unknown[] = []
  const { error: consoleError } = console
  console.error = (...parts: unknown[]) => void written.push(parts)
  t.teardown(() => void (console.error = consoleError))
  const nobody = await freePort()
  const silent = createServer()
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  t.teardown(() => silent.close())
  const { port: listening } = silent.address() as AddressInfo // it listens on a port, not on a path
  const { port, managerPort } = server
  const wrong: ReadonlyArray<readonly [url: string, complaint: RegExp, timeout?: number]> = [
    [`couchbase://Administrator:password@127.0.0.1:${port}/nowhere`, /there is no such bucket, or this user/],
    [`http://Administrator:password@127.0.0.1:${managerPort},default,nowhere`, /there is no such bucket/],
    [
      `http://Administrator:other@127.0.0.1:${managerPort},,default`,
      /the server refuses this user and password/,
    ],
    [
      `http://Administrator:other@127.0.0.1:${nobody},,default`,
      /the manager at 127.0.0.1:\d+ does not answer/,
    ],
    [`http://Administrator:other@127.0.0.1:${listening},,default`, /does not answer|no answer within/, 1_500],
    [`couchbase://Administrator:other@127.0.0.1:${nobody}/default`, /no answer within/, 1_500],
  ]
  for (const [url, complaint, timeout = 60_000] of wrong) {
    const store = new CouchbaseStore({ url, timeout })
    for (const call of [async () => store.open(), async () => store.read(KEY)]) {
      const error = await t.throwsAsync(call(), { instanceOf: SessionError, code: 'ERR_SESSION_STORE' })
      t.regex(error?.message ?? '', complaint)
      t.notRegex(error?.message ?? '', /other|password@/)
    }
    await store.close()
  }
  t.deepEqual(written, [])
})

test('a payload above the limit is refused with its size and the limit, and nothing is sent', async (t) => {
  const store = new CouchbaseStore({ url: 'couchbase://bob:swordfish@nowhere.invalid/b' })
  await t.throwsAsync(store.create(KEY, 'é'.repeat(10 * 1024 * 1024), now() + 60_000), {
    code: 'ERR_SESSION_LIMIT',
    message: 'couchbase: create refused, the payload has 20971520 bytes and may have 20971456',
  })
})

test('without the driver the error names the command that installs it', async (t) => {
  const script = fileURLToPath(new URL('without-driver.ts', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, ['--import=tsx', script])
  t.is(stdout, 'ERR_SESSION_OPTIONS the package couchbase is missing: npm install couchbase\n')
})
