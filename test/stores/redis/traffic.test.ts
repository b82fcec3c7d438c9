import { randomBytes } from 'node:crypto'
import test from 'ava'
import { SessionManager } from '../../../src/session/manager.ts'
import { RedisStore } from '../../../src/stores/redis.ts'
import { startProxy } from '../../servers/proxy.ts'
import { observe, startRedis } from '../../servers/redis.ts'
import { HOUR, keep, payload, randomKey, soon } from './session.ts'
import { commandsDuring } from './watch.ts'

const server = await startRedis()
const observer = observe(server.port)
test.after.always(async () => {
  observer.disconnect()
  await server.stop()
})

test.serial(
  'a request that reads costs one command, one that changes two, one that does neither none',
  async (t) => {
    const manager = new SessionManager({ store: new RedisStore({ url: server.url }) })
    const first = manager.begin()
    first.set('n', 1)
    // To open the store costs two commands, and one more on a server that does not know the first script.
    const opening = await commandsDuring(observer, async () => manager.ready()).then(connecting)
    t.deepEqual(opening, ['evalsha', 'eval', 'eval'])
    await manager.commit(first)
    await manager.open(first.id) // from now on the server knows the scripts
    first.set('n', 1.5)
    await manager.commit(first)
    first.set('n', 1)
    await manager.commit(first)

    const reading = await commandsDuring(observer, async () => {
      const session = await manager.open(first.id)
      t.is(session.get('n'), 1)
      await manager.commit(session)
    })
    t.deepEqual(reading, ['evalsha'])

    const changing = await commandsDuring(observer, async () => {
      const session = await manager.open(first.id)
      session.update('n', (n: number) => n + 1)
      await manager.commit(session)
    })
    t.deepEqual(changing, ['evalsha', 'evalsha'])

    const anonymous = await commandsDuring(observer, async () => {
      const session = await manager.open()
      t.is(session.get('n'), undefined)
      await manager.commit(session)
    })
    t.deepEqual(anonymous, [])
    await manager.close()
  },
)

test.serial('every verb is one command of the server, and one round trip', async (t) => {
  const store = new RedisStore({ url: server.url })
  t.teardown(async () => store.close())
  const { key, entry } = await keep(store)
  const verbs = {
    create: async () => store.create(randomKey(), payload(), soon()),
    read: async () => store.read(key),
    'read and extend': async () => store.read(key, soon(2 * HOUR)),
    touch: async () => store.touch(key, soon(3 * HOUR)),
    replace: async () => store.replace(key, payload(), soon(), entry),
    destroy: async () => store.destroy(key),
  }
  for (const verb of Object.values(verbs)) await verb() // from now on the server knows the scripts
  for (const [name, verb] of Object.entries(verbs)) {
    t.deepEqual(await commandsDuring(observer, verb), ['evalsha'], name)
  }
})

test.serial('concurrent verbs share packets', async (t) => {
  const proxy = await startProxy(server)
  t.teardown(async () => proxy.stop())
  const store = new RedisStore({ url: `redis://127.0.0.1:${proxy.port}` })
  t.teardown(async () => store.close())
  await store.read(randomKey())
  const before = proxy.packets
  await Promise.all(Array.from({ length: 200 }, async () => store.read(randomKey())))
  t.true(proxy.packets - before <= 4, `200 verbs in ${proxy.packets - before} packets`)
  t.is(proxy.connections, 1)
})

test.serial('F7: a server that lost the scripts receives them again, without an error', async (t) => {
  const store = new RedisStore({ url: server.url })
  t.teardown(async () => store.close())
  const { key, entry } = await keep(store)
  await observer.script('FLUSH')
  const outcomes = await Promise.all([store.read(key), store.read(key), store.touch(key, soon())])
  t.deepEqual(outcomes.slice(2), ['ok'])
  await observer.script('FLUSH')
  const written = await store.replace(key, payload(), soon(), entry)
  t.is(typeof written, 'object')
  await observer.script('FLUSH')
  t.is(await store.destroy(key), 'ok')
})

test.serial('payloads of 0.1, 10, 60 and 1,000 KB are returned unchanged', async (t) => {
  const store = new RedisStore({ url: server.url })
  t.teardown(async () => store.close())
  for (const kilobytes of [0.1, 10, 60, 1_000]) {
    const text = payload(randomBytes(kilobytes * 500).toString('hex'))
    const { key, entry } = await keep(store, text)
    t.is((await store.read(key))?.payload, text)
    const next = payload(randomBytes(kilobytes * 500).toString('hex'))
    await store.replace(key, next, soon(), entry)
    t.is((await store.read(key, soon(2 * HOUR)))?.payload, next)
  }
})

test.serial('a payload above the limit is refused with size and limit, and is not sent', async (t) => {
  const store = new RedisStore({ url: server.url, maxBytes: 2_000 })
  t.teardown(async () => store.close())
  const { key, entry } = await keep(store)
  const sent = await commandsDuring(observer, async () => {
    for (const write of [
      store.create(randomKey(), payload('é'.repeat(1_000)), soon()),
      store.replace(key, payload('é'.repeat(1_000)), soon(), entry),
    ]) {
      const error = await t.throwsAsync(write, { code: 'ERR_SESSION_LIMIT' })
      t.regex(error.message, /2022 bytes and may have 2000/)
    }
  })
  t.deepEqual(sent, [])
})

test.serial('count counts the sessions with its own prefix, by SCAN', async (t) => {
  const [inner, outer] = ['cou*nt[1]:', 'cou*nt[1]:in:'].map(
    (prefix) => new RedisStore({ url: server.url, prefix }),
  )
  t.assert(inner && outer)
  if (!inner || !outer) return
  t.teardown(async () => void (await Promise.all([inner.close(), outer.close()])))
  await Promise.all(Array.from({ length: 546 }, async () => keep(inner)))
  await Promise.all(Array.from({ length: 20 }, async () => keep(outer)))
  await observer.set('couXnt1:aaaa', 'x')
  const sent = await commandsDuring(observer, async () => t.is(await inner.count(), 546))
  t.deepEqual([...new Set(sent)], ['scan'])
  t.is(await outer.count(), 20)
})

test.serial('the keys in Redis are prefix and hash, with an expiry of their own', async (t) => {
  const store = new RedisStore({ url: server.url, prefix: 'shop:' })
  t.teardown(async () => store.close())
  const text = payload()
  const { key } = await keep(store, text)
  t.is(await observer.get(`shop:${key}`), text)
  const left = await observer.pttl(`shop:${key}`)
  t.true(left > HOUR - 10_000 && left <= HOUR)
})

test.serial('a wrong clock expires no session, since Redis receives durations', async (t) => {
  const day = 24 * HOUR
  const [early, late] = [-day, day].map(
    (off) => new RedisStore({ url: server.url, now: () => Date.now() + off }),
  )
  t.assert(early && late)
  if (!early || !late) return
  t.teardown(async () => void (await Promise.all([early.close(), late.close()])))
  const key = randomKey()
  await early.create(key, payload(), Date.now() - day + HOUR)
  const entry = await late.read(key, Date.now() + day + HOUR)
  t.true(Math.abs((entry?.expiresAt ?? 0) - (Date.now() + day + HOUR)) < 10_000)
  const left = await observer.pttl(`session:${key}`)
  t.true(left > HOUR - 10_000 && left <= HOUR)
})

/** Without what a client says of itself when it connects. */
function connecting(commands: readonly string[]): readonly string[] {
  return commands.filter((name) => !['hello', 'auth', 'client', 'info', 'select'].includes(name))
}
