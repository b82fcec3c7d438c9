import { createServer, type AddressInfo } from 'node:net'
import test from 'ava'
import memjs from 'memjs'
import type { Entry } from '../../../src/store.ts'
import { MemcacheStore } from '../../../src/stores/memcache.ts'
import { MemcachedConsole, startMemcached } from '../../servers/memcached.ts'
import { startProxy } from '../../servers/proxy.ts'
import { freePort, freeze } from '../../servers/server.ts'

const KEY = 'a'.repeat(64)
const TROUBLE = { name: 'SessionError', code: 'ERR_SESSION_STORE' }
let versions = 0
const payload = (body = ''): string =>
  `kts1 ${String((versions += 1)).padStart(16, '0')} 1700000000000${body}`
const soon = (): number => Date.now() + 60_000

async function keep(store: MemcacheStore, text: string = payload()): Promise<Entry> {
  const written = await store.create(KEY, text, soon())
  if (written === 'exists') throw new Error('there is an entry already')
  return written.entry
}

test('F1: a store that is made before its server works as soon as the server is up', async (t) => {
  const port = await freePort()
  const store = new MemcacheStore({ url: `127.0.0.1:${port}` })
  await t.throwsAsync(store.open(), { ...TROUBLE, message: /open failed: .*ECONNREFUSED/ })
  await t.throwsAsync(store.read(KEY), { ...TROUBLE, message: /read failed: .*ECONNREFUSED/ })
  const server = await startMemcached({ port })
  t.teardown(async () => server.stop())
  await store.open()
  await keep(store)
  await store.close()
})

test('F2, F10: after a restart of the server all sessions are absent, and every verb succeeds', async (t) => {
  const first = await startMemcached()
  const store = new MemcacheStore({ url: first.url })
  const entry = await keep(store)
  await first.stop()
  await t.throwsAsync(store.replace(KEY, payload(), soon(), entry), TROUBLE)
  await t.throwsAsync(store.read(KEY), TROUBLE)
  const second = await startMemcached({ port: first.port })
  t.teardown(async () => second.stop())
  t.is(await store.read(KEY), undefined)
  t.is(await store.replace(KEY, payload(), soon(), entry), 'gone')
  t.is(await store.touch(KEY, soon()), 'gone')
  t.is(await store.destroy(KEY, entry), 'gone')
  await keep(store)
  await store.close()
})

test('F3: if the server never answers, all waiting verbs reject at the deadline', async (t) => {
  const server = await startMemcached()
  const store = new MemcacheStore({ url: server.url, timeout: 300 })
  const entry = await keep(store)
  freeze(server.pid)
  const calls = [
    store.read(KEY),
    store.create(KEY, payload(), soon()),
    store.replace(KEY, payload(), soon(), entry),
    store.touch(KEY, soon()),
    store.destroy(KEY),
    ...Array.from({ length: 200 }, async () => store.read(KEY)),
  ]
  for (const call of calls) await t.throwsAsync(call, TROUBLE)
  const fresh = new MemcacheStore({ url: server.url, timeout: 300 })
  await t.throwsAsync(fresh.open(), { ...TROUBLE, message: /open failed: no answer within 300 ms/ })
  process.kill(server.pid, 'SIGCONT')
  const now = await store.read(KEY)
  if (now === undefined) t.pass('the destroy that was given up was applied later, as it may')
  else t.is(typeof (await store.replace(KEY, payload(), soon(), now)), 'object')
  await Promise.all([store.close(), fresh.close()])
  await server.stop()
})

test('F3: answers that come too late are never taken for answers to other requests', async (t) => {
  const server = await startMemcached()
  const proxy = await startProxy(server)
  t.teardown(async () => Promise.all([proxy.stop(), server.stop()]))
  const store = new MemcacheStore({ url: `127.0.0.1:${proxy.port}`, timeout: 1_000 })
  const large = payload('x'.repeat(300_000))
  await keep(store, large)
  for (let round = 0; round < 2; round += 1) {
    proxy.stall()
    await Promise.all(Array.from({ length: 5 }, async () => t.throwsAsync(store.read(KEY), TROUBLE)))
    proxy.mend()
    const seen = await Promise.all(Array.from({ length: 5 }, async () => store.read(KEY)))
    for (const entry of seen) t.true(entry?.payload === large)
  }
  await store.close()
})

test("F3: the application's client that gives up a request by itself never mixes up answers", async (t) => {
  const server = await startMemcached()
  const proxy = await startProxy(server)
  t.teardown(async () => Promise.all([proxy.stop(), server.stop()]))
  const options = { timeout: 1, retries: 1, logger: { log: () => undefined } }
  const client = memjs.Client.create(`127.0.0.1:${proxy.port}`, options)
  const store = new MemcacheStore({ client })
  const large = payload('x'.repeat(300_000))
  await keep(store, large)
  for (let round = 0; round < 2; round += 1) {
    proxy.stall()
    await t.throwsAsync(client.get(`session:${KEY}`))
    proxy.mend()
    const seen = await Promise.all(Array.from({ length: 5 }, async () => store.read(KEY)))
    for (const entry of seen) t.true(entry?.payload === large)
  }
  await store.close()
  t.is((await client.get(`session:${KEY}`)).value?.toString(), large)
  client.close()
})

test('F5: a write whose answer was lost rejects, is applied once, and is found by its version', async (t) => {
  const server = await startMemcached()
  const proxy = await startProxy(server)
  t.teardown(async () => Promise.all([proxy.stop(), server.stop()]))
  const store = new MemcacheStore({ url: `127.0.0.1:${proxy.port}` })
  await store.open()
  const first = payload()
  proxy.dropReply()
  await t.throwsAsync(store.create(KEY, first, soon()), TROUBLE)
  const entry = await store.read(KEY)
  t.is(entry?.payload, first)
  const second = payload()
  proxy.dropReply()
  if (entry) await t.throwsAsync(store.replace(KEY, second, soon(), entry), TROUBLE)
  t.is((await store.read(KEY))?.payload, second)
  const last = await store.read(KEY)
  proxy.dropReply()
  await t.throwsAsync(store.destroy(KEY, last), TROUBLE)
  t.is(await store.read(KEY), undefined)
  await store.close()
})

test('F6: a read on a connection that was reset is repeated', async (t) => {
  const server = await startMemcached()
  const proxy = await startProxy(server)
  t.teardown(async () => Promise.all([proxy.stop(), server.stop()]))
  const store = new MemcacheStore({ url: `127.0.0.1:${proxy.port}` })
  const { payload: text } = await keep(store)
  proxy.dropReply()
  t.is((await store.read(KEY))?.payload, text)
  proxy.reset()
  t.is((await store.read(KEY))?.payload, text)
  await store.close()
})

test('F10: an evicted or flushed session is absent, and is not brought back', async (t) => {
  const server = await startMemcached({ args: ['-m', '8'] })
  t.teardown(async () => server.stop())
  const store = new MemcacheStore({ url: server.url })
  const backend = new MemcachedConsole(server.port)
  async function assertForgotten(entry: Entry): Promise<void> {
    t.is(await store.read(KEY), undefined)
    t.is(await store.replace(KEY, payload(), soon(), entry), 'gone')
    t.is(await store.touch(KEY, soon()), 'gone')
    t.is(await store.destroy(KEY, entry), 'gone')
    t.is(await store.read(KEY), undefined)
  }
  const text = 'x'.repeat(100_000)
  const evicted = await keep(store, payload(text))
  for (let n = 0; n < 200; n += 1) await store.create(`filler${n}`, text, soon())
  await assertForgotten(evicted)
  const flushed = await keep(store)
  await backend.flush()
  await assertForgotten(flushed)
  await store.close()
})

test('if one of two servers is down, only verbs on its sessions reject, and none answers absence', async (t) => {
  const [one, other] = [await startMemcached(), await startMemcached()]
  const store = new MemcacheStore({ url: `${one.url};${other.url}` })
  const keys = Array.from({ length: 20 }, (_, n) => String(n).padStart(64, '0'))
  for (const key of keys) await store.create(key, payload(), soon())
  await other.stop()
  const outcomes = await Promise.allSettled(keys.map(async (key) => store.read(key)))
  const failed = outcomes.filter(({ status }) => status === 'rejected').length
  t.true(failed > 0 && failed < keys.length)
  for (const outcome of outcomes) t.true(outcome.status === 'rejected' || outcome.value !== undefined)
  await store.close()
  await one.stop()
})

const impostors: ReadonlyArray<readonly [who: string, answer: Buffer, complaint: RegExp]> = [
  ['a web server', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), /does not speak the binary protocol/],
  ['memcached with -B ascii', Buffer.from('ERROR\r\n'), /does not speak the binary protocol/],
  ['a server that answers another command', response(0x1c, 1, ''), /answered another request/],
  ['a server that answers for another key', response(0x0c, 1, 'session:b'), /answered another request/],
]
for (const [who, answer, complaint] of impostors) {
  test(`${who} is not taken for memcached`, async (t) => {
    const impostor = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => socket.write(answer))
    })
    await new Promise<void>((resolve) => impostor.listen(0, '127.0.0.1', resolve))
    t.teardown(() => impostor.close())
    const { port } = impostor.address() as AddressInfo // it listens on a port, not on a path
    const store = new MemcacheStore({ url: `127.0.0.1:${port}` })
    await t.throwsAsync(store.read(KEY), { ...TROUBLE, message: complaint })
    await store.close()
  })
}

function response(opcode: number, opaque: number, key: string): Buffer {
  const header = Buffer.alloc(24)
  header[0] = 0x81
  header[1] = opcode
  header.writeUInt16BE(key.length, 2)
  header[4] = 4
  header.writeUInt32BE(4 + key.length, 8)
  header.writeUInt32BE(opaque, 12)
  header[23] = 1
  return Buffer.concat([header, Buffer.alloc(4), Buffer.from(key)])
}

test('F27: an error says whether the server has answered', async (t) => {
  for (const status of [0x04, 0x05, 0x82, 0x83, 0x84, 0x85, 0x86, 0x1234]) {
    const liar = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.on('data', (request: Buffer) => {
        const header = Buffer.alloc(24)
        request.copy(header, 0, 0, 24)
        header[0] = 0x81
        header.fill(0, 2, 6)
        header.writeUInt16BE(status, 6)
        header.writeUInt32BE(0, 8)
        socket.write(header)
      })
    }).listen(0, '127.0.0.1')
    await new Promise((resolve) => liar.once('listening', resolve))
    const { port } = liar.address() as AddressInfo // it listens on a port
    const store = new MemcacheStore({ url: `127.0.0.1:${port}`, timeout: 2_000 })
    // One after the other: what answers here takes whatever comes at once for one request.
    const verbs = [
      async () => store.create(KEY, payload(), soon()),
      async () => store.read(KEY),
      async () => store.destroy(KEY),
    ]
    for (const verb of verbs)
      t.like(await t.throwsAsync(verb()), { ...TROUBLE, answered: true }, String(status))
    await store.close()
    await new Promise((resolve) => liar.close(resolve))
  }
  const nobody = new MemcacheStore({ url: `127.0.0.1:${await freePort()}`, timeout: 300 })
  t.like(await t.throwsAsync(nobody.read(KEY)), { ...TROUBLE, answered: false })
  await nobody.close()
})
