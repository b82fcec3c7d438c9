import { inspect } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import { RedisStore } from '../../../src/stores/redis.ts'
import { startProxy } from '../../servers/proxy.ts'
import { startRedisCluster } from '../../servers/redis-cluster.ts'
import { bulk, startRedisStub, type Reply } from '../../servers/redis-stub.ts'
import { observe, startRedis, startSentinel } from '../../servers/redis.ts'
import { freePort } from '../../servers/server.ts'
import { keep, payload, randomKey, soon } from './session.ts'

const SECRET = 'swordfish'
const FAILED = { name: 'SessionError', code: 'ERR_SESSION_STORE' }

const server = await startRedis()
const observer = observe(server.port)
test.after.always(async () => {
  observer.disconnect()
  await server.stop()
})

async function refusal(t: ExecutionContext, store: RedisStore): Promise<string> {
  t.teardown(async () => store.close())
  const error = await t.throwsAsync(store.open(), FAILED)
  t.false(inspect(error, { depth: 10 }).includes(SECRET))
  return error.message
}

async function stub(t: ExecutionContext, info: string, reply: Reply = () => undefined): Promise<string> {
  const { url, stop } = await startRedisStub((command) => {
    const [name = ''] = command
    if (name === 'hello') return '-ERR unknown command HELLO\r\n'
    if (name === 'info') return info
    return reply(command) ?? '+OK\r\n'
  })
  t.teardown(async () => stop())
  return url
}

test('an address without a server is reported', async (t) => {
  const port = await freePort()
  const url = `redis://:${SECRET}@127.0.0.1:${port}`
  const message = `redis: open failed: 127.0.0.1:${port} cannot be reached (ECONNREFUSED)`
  t.is(await refusal(t, new RedisStore({ url, timeout: 20_000 })), message)
  t.regex(
    await refusal(t, new RedisStore({ url, mode: 'cluster', timeout: 20_000 })),
    /: 127\.0\.0\.1:\d+ cannot be reached \(ECONNREFUSED\)$/,
  )
  t.regex(
    await refusal(t, new RedisStore({ url, mode: 'sentinel', timeout: 20_000 })),
    /: 127\.0\.0\.1:\d+ cannot be reached \(ECONNREFUSED\)$/,
  )
  const lost = `/nowhere/redis.sock,100,${SECRET}`
  t.is(
    await refusal(t, new RedisStore({ url: lost, timeout: 200 })),
    'redis: open failed: /nowhere/redis.sock cannot be reached (ENOENT)',
  )
})

test('a wrong password, a wrong user and a missing password are reported, and not shown', async (t) => {
  const guarded = await startRedis()
  t.teardown(async () => guarded.stop())
  const admin = observe(guarded.port)
  await admin.config('SET', 'requirepass', 'right')
  admin.disconnect()
  const at = `127.0.0.1:${guarded.port}`
  const wrong = 'redis: open failed: user or password is wrong (WRONGPASS)'
  t.is(await refusal(t, new RedisStore({ url: `redis://:${SECRET}@${at}` })), wrong)
  t.is(await refusal(t, new RedisStore({ url: `redis://nobody:${SECRET}@${at}` })), wrong)
  t.is(await refusal(t, new RedisStore({ url: `${at},100,${SECRET}` })), wrong)
  t.is(
    await refusal(t, new RedisStore({ url: at })),
    'redis: open failed: the server asks for a password (NOAUTH)',
  )
})

test('a database number that does not exist is reported', async (t) => {
  const message = 'redis: open failed: the server has no database of that number'
  t.is(await refusal(t, new RedisStore({ url: `${server.url}/99` })), message)
})

test('a server of another kind is reported, with the right provider', async (t) => {
  const cluster = await startRedisCluster()
  t.teardown(async () => cluster.stop())
  const sentinel = await startSentinel(server.port)
  t.teardown(async () => sentinel.stop())
  const [node] = cluster.nodes
  t.regex(
    await refusal(t, new RedisStore({ url: String(node?.url) })),
    /belongs to a cluster: use redis_cluster$/,
  )
  t.regex(
    await refusal(t, new RedisStore({ url: `127.0.0.1:${sentinel.port}` })),
    /is a sentinel: use redis_sentinel$/,
  )
  t.regex(
    await refusal(t, new RedisStore({ url: server.url, mode: 'cluster' })),
    /belongs to no cluster: use redis$/,
  )
  const unknown = `redis://127.0.0.1:${sentinel.port}?master=nobody`
  t.regex(
    await refusal(t, new RedisStore({ url: unknown, mode: 'sentinel', timeout: 500 })),
    /the sentinels know no primary of that name$/,
  )
})

test('Redis before 6.0 is refused with a sentence', async (t) => {
  const old = await stub(t, bulk('redis_version:5.0.14\r\nredis_mode:standalone\r\n'))
  t.is(
    await refusal(t, new RedisStore({ url: old })),
    'redis: Redis 6.0 or newer is needed, and the server is 5.0',
  )
  const older = await stub(t, bulk('redis_version:4.0.14\r\n'))
  t.regex(await refusal(t, new RedisStore({ url: older })), /the server is 4.0$/)
  for (const version of ['6.0.16', '6.2.0', '7.0.15', '10.1.0']) {
    const store = new RedisStore({ url: await stub(t, bulk(`redis_version:${version}\r\n`)) })
    await t.notThrowsAsync(store.open(), version)
    await store.close()
  }
})

test('a node of a cluster and a sentinel are known by what Redis, Valkey and Redict call their mode', async (t) => {
  for (const name of ['redis_mode', 'server_mode']) {
    const node = await stub(t, bulk(`redis_version:7.2.4\r\n${name}:cluster\r\n`))
    t.regex(await refusal(t, new RedisStore({ url: node })), /belongs to a cluster: use redis_cluster$/, name)
    const sentinel = await stub(t, bulk(`redis_version:7.2.4\r\n${name}:sentinel\r\n`))
    t.regex(await refusal(t, new RedisStore({ url: sentinel })), /is a sentinel: use redis_sentinel$/, name)
  }
})

test('a server that does not tell its version is accepted', async (t) => {
  await observer.call('ACL', 'SETUSER', 'shy', 'on', `>${SECRET}`, '~*', '+@all', '-info')
  const store = new RedisStore({ url: `redis://shy:${SECRET}@127.0.0.1:${server.port}` })
  t.teardown(async () => store.close())
  const { key, entry } = await keep(store)
  t.is((await store.read(key))?.payload, entry.payload)
})

test('a missing right is reported', async (t) => {
  await observer.call('ACL', 'SETUSER', 'poor', 'on', `>${SECRET}`, '~session:*', '+@all')
  const url = `redis://poor:${SECRET}@127.0.0.1:${server.port}`
  const store = new RedisStore({ url, prefix: 'other:' })
  t.teardown(async () => store.close())
  const error = await t.throwsAsync(keep(store), FAILED)
  t.regex(
    error.message,
    /^redis: create failed: the user may not do this, or not with these keys \(NOPERM\)$/,
  )
})

test('a key that is no session is reported, and left unchanged', async (t) => {
  const store = new RedisStore({ url: server.url })
  t.teardown(async () => store.close())
  const key = randomKey()
  await observer.hset(`session:${key}`, 'a', 1)
  const message = /a key with this prefix is no session \(WRONGTYPE\)$/
  await t.throwsAsync(store.read(key), { ...FAILED, message })
  await t.throwsAsync(store.create(key, payload(), soon()), { ...FAILED, message })
  await t.throwsAsync(store.replace(key, payload(), soon(), { payload: payload(), expiresAt: 0 }), {
    ...FAILED,
    message,
  })
  t.is(await observer.hget(`session:${key}`, 'a'), '1')
})

test('a session without an expiry never expires', async (t) => {
  const store = new RedisStore({ url: server.url })
  t.teardown(async () => store.close())
  const { key } = await keep(store)
  await observer.persist(`session:${key}`)
  t.is((await store.read(key, soon()))?.expiresAt, Infinity)
  t.is(await store.touch(key, soon()), 'ok')
  t.is(await observer.pttl(`session:${key}`), -1)
})

test('an answer that is not in the protocol is an error', async (t) => {
  for (const answer of [
    '+what\r\n',
    ':5\r\n',
    '*0\r\n',
    '*2\r\n:1\r\n:2\r\n',
    '*2\r\n$1\r\nx\r\n$1\r\nx\r\n',
    '*-1\r\n',
    '%nonsense\r\n',
  ]) {
    const url = await stub(t, bulk('redis_version:7.0.0\r\n'), ([name]) =>
      name?.startsWith('eval') ? answer : undefined,
    )
    const store = new RedisStore({ url, timeout: 300 })
    t.teardown(async () => store.close())
    await t.throwsAsync(store.touch(randomKey(), soon()), FAILED, answer)
    if (answer !== '*-1\r\n') await t.throwsAsync(store.read(randomKey()), FAILED, answer)
  }
})

test('the error texts of Redis 6.2 are understood too', async (t) => {
  const words =
    "-ERR Error running script (call to f_0123): @user_script:5: @user_script: 5: -OOM command not allowed when used memory > 'maxmemory'.\r\n"
  const url = await stub(t, bulk('redis_version:6.2.14\r\n'), ([name]) =>
    name?.startsWith('eval') ? words : undefined,
  )
  const store = new RedisStore({ url })
  t.teardown(async () => store.close())
  await t.throwsAsync(keep(store), { ...FAILED, message: /Redis is full.*\(OOM\)$/ })
})

test('no error shows arguments, even if the server repeats them', async (t) => {
  const [key, text] = [randomKey(), payload(SECRET)]
  const url = await stub(t, bulk('redis_version:7.0.0\r\n'), (command) =>
    command[0]?.startsWith('eval')
      ? `-ERR unknown command '${command[0]}', with args beginning with: ${command.slice(2).join(' ').slice(0, 400)}\r\n`
      : undefined,
  )
  const store = new RedisStore({ url })
  t.teardown(async () => store.close())
  const error = await t.throwsAsync(store.create(key, text, soon()), FAILED)
  t.is(error.message, 'redis: create failed: the server does not know the command')
  const everything = inspect(error, { depth: 10, showHidden: true, maxStringLength: null })
  t.false(everything.includes(key))
  t.false(everything.includes(SECRET))
})

for (const [word, passing] of [
  ['LOADING', true],
  ['CLUSTERDOWN', true],
  ['TRYAGAIN', true],
  ['BUSY', true],
  ['MASTERDOWN', true],
  ['NOREPLICAS', true],
  ['MISCONF', false],
  ['NOAUTH', false],
] as const) {
  test(`F7: ${word} is ${passing ? 'waited for' : 'told at once'}`, async (t) => {
    let asked = 0
    const url = await stub(t, bulk('redis_version:7.0.0\r\n'), ([name]) => {
      if (!name?.startsWith('eval')) return undefined
      asked += 1
      return asked < 4 ? `-${word} as it happens\r\n` : bulk('ok')
    })
    const store = new RedisStore({ url })
    t.teardown(async () => store.close())
    if (passing) {
      t.is(await store.touch(randomKey(), soon()), 'ok')
      t.is(asked, 4)
    } else {
      await t.throwsAsync(store.touch(randomKey(), soon()), {
        ...FAILED,
        message: new RegExp(`\\(${word}\\)$`),
      })
      t.is(asked, 1)
    }
  })
}

for (const [reply, answered] of [
  ["OOM command not allowed when used memory > 'maxmemory'.", true],
  ["READONLY You can't write against a read only replica.", true],
  ["NOPERM this user has no permissions to run the 'set' command", true],
  ["ERR The user executing the script can't run this command or subcommand script: f", true],
  ['NOAUTH Authentication required.', true],
  ['MISCONF Redis is configured to save RDB snapshots', true],
  ['WRONGTYPE Operation against a key holding the wrong kind of value', true],
  ['NOREPLICAS Not enough good replicas to write.', true],
  ['LOADING Redis is loading the dataset in memory', true],
  ['ERR max number of clients reached', true],
  ['ERR anything else', true],
  [undefined, false], // no reply at all
] as const) {
  // One after the other: what is waited for until the deadline must be answered in time on a busy machine, too.
  test.serial(
    `F27: a verb that is refused says that the server has answered: ${reply ?? 'silence'}`,
    async (t) => {
      const url = await stub(t, bulk('redis_version:7.0.0\r\n'), ([name]) =>
        name?.startsWith('eval') ? (reply === undefined ? '' : `-${reply}\r\n`) : undefined,
      )
      const store = new RedisStore({ url, timeout: 1_000 })
      t.teardown(async () => store.close())
      const verbs = [
        store.create(randomKey(), payload(), soon()),
        store.touch(randomKey(), soon()),
        store.read(randomKey()),
      ]
      for (const outcome of await Promise.allSettled(verbs)) {
        t.is(outcome.status, 'rejected')
        if (outcome.status === 'rejected')
          t.like(outcome.reason, { ...FAILED, answered }, outcome.reason.message)
      }
    },
  )
}

test('a write that is refused after an earlier try was lost may still be applied, so it does not count as answered', async (t) => {
  const full = await startRedis()
  const proxy = await startProxy(full)
  const admin = observe(full.port)
  t.teardown(async () => {
    admin.disconnect()
    await proxy.stop()
    await full.stop()
  })
  const store = new RedisStore({ url: `redis://127.0.0.1:${proxy.port}` })
  t.teardown(async () => store.close())
  const { key, entry } = await keep(store)
  await admin.config('SET', 'maxmemory', '1')
  t.like(await t.throwsAsync(store.replace(key, payload(), soon(), entry)), { ...FAILED, answered: true })
  proxy.dropReply()
  t.like(await t.throwsAsync(store.replace(key, payload(), soon(), entry)), { ...FAILED, answered: false })
  proxy.dropReply()
  t.truthy(await store.read(key, soon()))
})

test('a verb that is refused for long is not waited for any more, and one that succeeds is', async (t) => {
  let asked = 0
  let isOpen = false
  const url = await stub(t, bulk('redis_version:7.0.0\r\n'), ([name]) => {
    if (name?.startsWith('eval') !== true || !isOpen) return undefined
    asked += 1
    return '-NOREPLICAS Not enough good replicas to write.\r\n'
  })
  const store = new RedisStore({ url, timeout: 1_000 })
  t.teardown(async () => store.close())
  await store.open()
  isOpen = true
  const touch = async (): Promise<number> => {
    const before = asked
    await t.throwsAsync(store.touch(randomKey(), soon()), FAILED)
    return asked - before
  }
  t.true((await touch()) > 2)
  await touch()
  t.is(await touch(), 2)
})

test('F27: a read that may not extend the life reads all the same, without waiting', async (t) => {
  for (const word of ['READONLY', 'NOREPLICAS', 'MISCONF', 'NOPERM', 'OOM']) {
    const asked: string[] = []
    const url = await stub(t, bulk('redis_version:7.0.0\r\n'), (command) => {
      if (command[0]?.startsWith('eval') !== true) return undefined
      const extendTo = command.at(-1) ?? ''
      asked.push(extendTo)
      return extendTo === '0' ? `*2\r\n${bulk('text')}:60000\r\n` : `-${word} as it happens\r\n`
    })
    const store = new RedisStore({ url })
    t.teardown(async () => store.close())
    t.is((await store.read(randomKey(), soon()))?.payload, 'text', word)
    t.is(asked.length, 2, word)
  }
})
