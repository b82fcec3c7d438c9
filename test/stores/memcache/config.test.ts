import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'
import memjs from 'memjs'
import { SessionError } from '../../../src/errors.ts'
import { parseMemcacheConfig } from '../../../src/stores/memcache/config.ts'
import { MemcacheStore, type MemcacheStoreOptions } from '../../../src/stores/memcache.ts'
import { memcachedServer, startMemcached, startMemcachedWithUser } from '../../servers/memcached.ts'

const KEY = 'a'.repeat(64)
const PAYLOAD = 'kts1 0123456789abcdef 1700000000000'
const now = Date.now

const server = await memcachedServer()
const second = await startMemcached()
test.after.always(async () => Promise.all([server.stop(), second.stop()]))

const parsed: ReadonlyArray<readonly [config: string, ...addresses: object[]]> = [
  ['127.0.0.1:11212', { host: '127.0.0.1', port: 11_212 }],
  ['cache.example.org', { host: 'cache.example.org', port: 11_211 }],
  ['[::1]:11212', { host: '::1', port: 11_212 }],
  ['a:1;b:2', { host: 'a', port: 1 }, { host: 'b', port: 2 }],
  [' a:1 ; b:2 ; ', { host: 'a', port: 1 }, { host: 'b', port: 2 }],
  ['memcache://a', { host: 'a', port: 11_211 }],
  ['memcached://a:1/', { host: 'a', port: 1 }],
  ['memcache://[::1]:1', { host: '::1', port: 1 }],
  ['memcache://bob:p%40s%3As@a:1', { host: 'a', port: 1, username: 'bob', password: 'p@s:s' }],
  [
    'memcache://bob:x@a:1;memcache://eve:y@b:2',
    { host: 'a', port: 1, username: 'bob', password: 'x' },
    { host: 'b', port: 2, username: 'eve', password: 'y' },
  ],
]
for (const [config, ...addresses] of parsed) {
  test(`'${config}' names ${addresses.length} server(s)`, (t) => {
    t.deepEqual(parseMemcacheConfig(config), addresses)
  })
}

const malformed: ReadonlyArray<readonly [config: string, complaint: string]> = [
  ['', 'the address is empty'],
  [';', 'the address is empty'],
  ['a:1;;b:2', 'address 2 of 3 is empty'],
  ['a:0', 'the address is malformed'],
  ['a:65536', 'the address is malformed'],
  ['a:port', 'the address is malformed'],
  ['a:1,b:2', 'the address is malformed'],
  ['::1', 'the address is malformed'],
  ['bob:swordfish@a:1', 'the address is malformed'],
  ['a;memcache://bob:swordfish@', 'address 2 of 2 is malformed'],
  ['memcache://bob:swordfish@a:1/0', 'the address is malformed'],
  ['memcache://bob:swordfish@a:1?weight=1', 'the address is malformed'],
  ['memcache://bob:%zzswordfish@a:1', 'the address is malformed'],
  ['memcache://swordfish@a:1', 'the address is malformed'],
  ['redis://bob:swordfish@a:1', 'the address is malformed'],
  ['memcache://a:1?tls=false', 'the address is malformed'],
]
for (const [config, complaint] of malformed) {
  test(`'${config}' is refused at once: ${complaint}`, (t) => {
    const error = t.throws(() => MemcacheStore.fromConfig(config, { now }), { instanceOf: SessionError })
    t.is(error.code, 'ERR_SESSION_OPTIONS')
    t.true(error.message.startsWith(`memcache: ${complaint}; expected '127.0.0.1:11211`))
    t.notRegex(error.message, /swordfish/)
  })
}

const unsupported: ReadonlyArray<readonly [config: string, complaint: string]> = [
  ['memcacheds://bob:swordfish@a:1', 'TLS is not supported, since the driver memjs has none'],
  ['memcaches://a:1', 'TLS is not supported, since the driver memjs has none'],
  ['a:1;memcached+tls://b:2', 'TLS is not supported, since the driver memjs has none'],
  ['tls://a:1', 'TLS is not supported, since the driver memjs has none'],
  ['memcache://a:1?tls=true', 'TLS is not supported, since the driver memjs has none'],
  ['memcache://a:1?ssl', 'TLS is not supported, since the driver memjs has none'],
  ['memcache://a:1?protocol=ascii', 'the text protocol is not supported'],
  ['memcached://a:1?binary=false', 'the text protocol is not supported'],
]
for (const [config, complaint] of unsupported) {
  test(`'${config}' is refused at once, in a sentence: ${complaint}`, (t) => {
    const error = t.throws(() => MemcacheStore.fromConfig(config, { now }), { instanceOf: SessionError })
    t.is(error.code, 'ERR_SESSION_OPTIONS')
    t.true(error.message.startsWith(`memcache: ${complaint}`))
    t.notRegex(error.message, /swordfish/)
  })
}

test('the options tls and ssl are refused with the reason', (t) => {
  for (const name of ['tls', 'ssl']) {
    const options = { url: 'a:1', [name]: {} }
    const error = t.throws(() => new MemcacheStore(options), { instanceOf: SessionError })
    t.regex(error.message, new RegExp(`^memcache: ${name}: TLS is not supported, .* stunnel$`))
  }
})

const wrong: ReadonlyArray<readonly [options: MemcacheStoreOptions, complaint: string]> = [
  [{}, 'give either url or client'],
  [{ url: 'a:1', client: memjs.Client.create('a:1') }, 'give either url or client'],
  [{ url: 'a:1', prefix: 'with space' }, 'prefix must be'],
  [{ url: 'a:1', prefix: 'p'.repeat(101) }, 'prefix must be'],
  [{ url: 'a:1', timeout: 0 }, 'timeout must be'],
  [{ url: 'a:1', maxItemBytes: 1_000 }, 'maxItemBytes must be'],
  [{ client: memjs.Client.create('a:1', { failover: true }) }, 'client has failover'],
]
for (const [at, [options, complaint]] of wrong.entries()) {
  test(`invalid options are refused at once, ${at + 1}: ${complaint}`, (t) => {
    const error = t.throws(() => new MemcacheStore(options), { instanceOf: SessionError })
    t.is(error.code, 'ERR_SESSION_OPTIONS')
    t.true(error.message.startsWith(`memcache: ${complaint}`))
  })
}

const forms = ['127.0.0.1:PORT', 'memcache://127.0.0.1:PORT', '127.0.0.1:PORT;127.0.0.1:SECOND']
for (const form of forms) {
  test(`${form} opens, and keeps sessions`, async (t) => {
    const config = form.replace('PORT', String(server.port)).replace('SECOND', String(second.port))
    const store = MemcacheStore.fromConfig(config, { now })
    await store.open()
    for (const n of [1, 2, 3, 4]) {
      const key = `${form.length}${n}`.padEnd(64, '0')
      await store.destroy(key)
      t.is(typeof (await store.create(key, PAYLOAD, now() + 60_000)), 'object')
      t.is((await store.read(key))?.payload, PAYLOAD)
      t.is(await store.destroy(key), 'ok')
    }
    await store.close()
  })
}

test('sessions are distributed over several servers', async (t) => {
  const url = `127.0.0.1:${server.port};127.0.0.1:${second.port}`
  const store = new MemcacheStore({ url, prefix: 'sharing:' })
  const alone = new MemcacheStore({ url: `127.0.0.1:${second.port}`, prefix: 'sharing:' })
  const keys = Array.from({ length: 40 }, (_, n) => String(n).padStart(64, '0'))
  for (const key of keys) await store.create(key, PAYLOAD, now() + 60_000)
  const found = await Promise.all(keys.map(async (key) => alone.read(key)))
  const there = found.filter((entry) => entry !== undefined).length
  t.true(there > 5 && there < 35)
  for (const key of keys) t.is(await store.destroy(key), 'ok')
  await Promise.all([store.close(), alone.close()])
})

test('the right user and password are accepted, and wrong or missing ones are refused', async (t) => {
  const guarded = await startMemcachedWithUser('bob', 'sword:f@sh')
  t.teardown(async () => guarded.stop())
  const at = `127.0.0.1:${guarded.port}`
  const store = MemcacheStore.fromConfig(`memcache://bob:sword%3Af%40sh@${at}`, { now })
  await store.open()
  t.is(typeof (await store.create(KEY, PAYLOAD, now() + 60_000)), 'object')
  await store.close()

  for (const url of [at, `memcache://bob:other@${at}`, `memcache://eve:sword%3Af%40sh@${at}`]) {
    const stranger = MemcacheStore.fromConfig(url, { now })
    for (const call of [async () => stranger.open(), async () => stranger.read(KEY)]) {
      const error = await t.throwsAsync(call, { instanceOf: SessionError, code: 'ERR_SESSION_STORE' })
      t.regex(error?.message ?? '', /failed: the server asks for a user and a password/)
    }
    await stranger.close()
  }
})

test('credentials in the environment are not sent to a server that is configured without', async (t) => {
  process.env['MEMCACHE_USERNAME'] = 'bob'
  process.env['MEMCACHE_PASSWORD'] = 'sword'
  t.teardown(() => {
    delete process.env['MEMCACHE_USERNAME']
    delete process.env['MEMCACHE_PASSWORD']
  })
  const guarded = await startMemcachedWithUser('bob', 'sword')
  t.teardown(async () => guarded.stop())
  const store = new MemcacheStore({ url: `127.0.0.1:${guarded.port}` })
  await t.throwsAsync(store.open(), { code: 'ERR_SESSION_STORE' })
  await store.close()
})

test("the application's client is used, and left open", async (t) => {
  const client = memjs.Client.create(`127.0.0.1:${server.port}`, { logger: { log: () => undefined } })
  const store = new MemcacheStore({ client, prefix: 'handed:' })
  await store.open()
  await store.destroy(KEY)
  t.is(typeof (await store.create(KEY, PAYLOAD, now() + 60_000)), 'object')
  t.is((await client.get(`handed:${KEY}`)).value?.toString(), PAYLOAD)
  await store.close()
  t.is((await client.get(`handed:${KEY}`)).value?.toString(), PAYLOAD)
  t.true(await client.delete(`handed:${KEY}`))
  client.close()
})

test('open reads and deletes an item that is not there, and leaves nothing behind', async (t) => {
  const counted = await startMemcached()
  t.teardown(async () => counted.stop())
  const client = memjs.Client.create(`127.0.0.1:${counted.port}`, { logger: { log: () => undefined } })
  t.teardown(() => client.close())
  const store = new MemcacheStore({ url: counted.url })
  await store.open()
  await store.close()
  const [found] = await new Promise<readonly Record<string, string>[]>((resolve) => {
    client.stats((_error: unknown, _server: unknown, stats: Record<string, string> | null) =>
      resolve([stats ?? {}]),
    )
  })
  t.like(found, { get_misses: '1', delete_misses: '1', total_items: '0' })
})

test('a server without tokens is refused, at open and at the first verb', async (t) => {
  const careless = await startMemcached({ args: ['-C'] })
  t.teardown(async () => careless.stop())
  const store = new MemcacheStore({ url: careless.url })
  await t.throwsAsync(store.open(), { code: 'ERR_SESSION_OPTIONS', message: /started with -C/ })
  const creating = store.create(KEY, PAYLOAD, now() + 60_000)
  await t.throwsAsync(creating, { code: 'ERR_SESSION_STORE', message: /started with -C/ })
  await t.throwsAsync(store.read(KEY), { code: 'ERR_SESSION_STORE', message: /started with -C/ })
  await store.close()
})

test('a server that accepts only smaller items is refused at open; without open, writes reject and lose nothing', async (t) => {
  const narrow = await startMemcached({ args: ['-I', '512k'] })
  t.teardown(async () => narrow.stop())
  const store = new MemcacheStore({ url: narrow.url })
  await t.throwsAsync(store.open(), {
    code: 'ERR_SESSION_OPTIONS',
    message: /items of at most 524288 bytes .* set maxItemBytes/,
  })
  const written = await store.create(KEY, PAYLOAD, now() + 60_000)
  if (written === 'exists') return t.fail()
  const large = PAYLOAD + 'x'.repeat(600_000)
  const limit = { code: 'ERR_SESSION_LIMIT', message: /set maxItemBytes/ }
  await t.throwsAsync(store.replace(KEY, large, now() + 60_000, written.entry), limit)
  await t.throwsAsync(store.create('b'.repeat(64), large, now() + 60_000), limit)
  t.is((await store.read(KEY))?.payload, PAYLOAD)
  await store.close()

  const fitting = new MemcacheStore({ url: narrow.url, maxItemBytes: 524_288 })
  await fitting.open()
  t.is(fitting.traits.maxBytes, 523_776)
  await fitting.close()
})

test('a payload above the limit is refused with its size and the limit, and nothing is sent', async (t) => {
  const store = new MemcacheStore({ url: 'memcache://256.0.0.1:1', maxItemBytes: 4_096 })
  await t.throwsAsync(store.create(KEY, 'é'.repeat(2_000), now() + 60_000), {
    code: 'ERR_SESSION_LIMIT',
    message: 'memcache: create refused, the payload has 4000 bytes and may have 3584',
  })
})

test('without the driver the error names the command that installs it', async (t) => {
  const script = fileURLToPath(new URL('without-driver.ts', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, ['--import=tsx', script])
  t.is(stdout, 'ERR_SESSION_OPTIONS the package memjs is missing: npm install memjs\n')
})
