import { readFile } from 'node:fs/promises'
import test from 'ava'
import { parseRedisConfig, type RedisConfig, type RedisMode } from '../../../src/stores/redis/config.ts'
import { RedisStore } from '../../../src/stores/redis.ts'
import { redisClusterServer } from '../../servers/redis-cluster.ts'
import { redisSentinelServer } from '../../servers/redis-sentinel.ts'
import { observe, option, redisServer, startRedis, startRedisTls, until } from '../../servers/redis.ts'
import { keep } from './session.ts'

const here = { host: '127.0.0.1', port: 6_379 }
const SECRET = 'swordfish'

const meanings: readonly (readonly [RedisMode, string, Partial<RedisConfig>])[] = [
  ['single', '127.0.0.1:6379', { addresses: [here], db: 0, tls: false }],
  ['single', '127.0.0.1', { addresses: [here] }],
  ['single', ':6380', { addresses: [{ host: '127.0.0.1', port: 6_380 }] }],
  ['single', '[::1]:6380', { addresses: [{ host: '::1', port: 6_380 }] }],
  ['single', '/run/redis.sock,100', { addresses: [{ path: '/run/redis.sock' }] }],
  ['single', '127.0.0.1:6379,100', { password: undefined }],
  ['single', '127.0.0.1:6379,100,astaxie', { password: 'astaxie' }],
  ['single', '127.0.0.1:6379,100, p w ,2,30,60,3', { password: ' p w ', db: 2 }],
  ['single', '127.0.0.1:6379,,,,,,', { password: undefined, db: 0 }],
  [
    'single',
    '{"save_path":"127.0.0.1:6379","poolsize":100,"password":"astaxie","db_num":3}',
    { password: 'astaxie', db: 3 },
  ],
  [
    'single',
    '{"save_path":"h:1","idle_timeout":"5m30s","idle_check_frequency":60,"max_retries":"2"}',
    { addresses: [{ host: 'h', port: 1 }] },
  ],
  ['single', 'redis://127.0.0.1', { addresses: [here], db: 0 }],
  [
    'single',
    'redis://:p%40ss%2Cw@h:1/4',
    { addresses: [{ host: 'h', port: 1 }], username: undefined, password: 'p@ss,w', db: 4 },
  ],
  [
    'single',
    'redis://app:secret@h:1?db=5&prefix=shop%3A&timeout=250',
    { username: 'app', password: 'secret', db: 5, prefix: 'shop:', timeout: 250 },
  ],
  ['single', 'REDISS://h', { addresses: [{ host: 'h', port: 6_379 }], tls: true }],
  ['single', 'rediss://[fe80::1]:7', { addresses: [{ host: 'fe80::1', port: 7 }], tls: true }],
  ['single', 'unix:///run/my%20redis.sock?db=1', { addresses: [{ path: '/run/my redis.sock' }], db: 1 }],
  [
    'single',
    'unix://app:pw@/run/redis.sock',
    { addresses: [{ path: '/run/redis.sock' }], username: 'app', password: 'pw', db: 0 },
  ],
  [
    'cluster',
    'h:1;h:2;[::1]:3,100,pw',
    {
      addresses: [
        { host: 'h', port: 1 },
        { host: 'h', port: 2 },
        { host: '::1', port: 3 },
      ],
      password: 'pw',
    },
  ],
  ['cluster', 'h:1', { addresses: [{ host: 'h', port: 1 }] }],
  [
    'cluster',
    '{"save_path":"h:1;h:2","password":"pw"}',
    {
      addresses: [
        { host: 'h', port: 1 },
        { host: 'h', port: 2 },
      ],
    },
  ],
  [
    'cluster',
    'redis://u:p@h:1;i/0',
    {
      addresses: [
        { host: 'h', port: 1 },
        { host: 'i', port: 6_379 },
      ],
      username: 'u',
    },
  ],
  [
    'sentinel',
    'a:1;b',
    {
      addresses: [
        { host: 'a', port: 1 },
        { host: 'b', port: 26_379 },
      ],
      master: 'mymaster',
    },
  ],
  ['sentinel', 'a:1,100,pw,2,primary,30,60,3', { password: 'pw', db: 2, master: 'primary' }],
  ['sentinel', '{"save_path":"a:1;b:2","master_name":"m","db_num":"1"}', { master: 'm', db: 1 }],
  ['sentinel', 'redis://:pw@a:1;b:2/3?master=m', { master: 'm', db: 3, password: 'pw' }],
]

for (const [mode, text, meaning] of meanings) {
  test(`${mode}: ${text} is understood`, (t) => {
    t.like(parseRedisConfig(text, mode), { mode, ...meaning })
  })
}

const mistakes: readonly (readonly [RedisMode, string, RegExp])[] = [
  ['single', '', /^redis: the config string is empty; for example '127\.0\.0\.1:6379/],
  ['single', '   ', /is empty/],
  ['single', `,100,${SECRET}`, /the address is missing/],
  ['single', `h:99999,100,${SECRET}`, /an address must be host:port, with a port from 1 to 65535/],
  ['single', 'h:0', /an address must be/],
  ['single', 'h:port', /an address must be/],
  ['single', 'two words', /an address must be/],
  ['single', '::1:6379', /an address must be/],
  ['single', 'h:1;h:2', /several addresses are for redis_cluster or redis_sentinel/],
  ['single', `h:1,many,${SECRET}`, /poolsize must be a whole number/],
  ['single', `h:1,100,${SECRET},first`, /db_num must be a whole number/],
  [
    'single',
    `h:1,100,${SECRET},0,soon`,
    /idle_timeout must be a whole number of seconds, or a duration like '5m'/,
  ],
  ['single', `h:1,100,${SECRET},0,30,-1`, /idle_check_frequency must be/],
  ['single', `h:1,100,${SECRET},0,30,60,x`, /max_retries must be/],
  ['single', `h:1,100,${SECRET},0,30,60,3,more`, /there are 8 fields and at most 7 have a meaning/],
  ['single', `{"save_path":"h:1","password":"${SECRET}"`, /begins like JSON but is malformed/],
  [
    'single',
    `{"save_path":"h:1","pasword":"${SECRET}"}`,
    /there is an unknown field; known are save_path, poolsize, password/,
  ],
  ['single', `{"save_path":"h:1","password":["${SECRET}"]}`, /password must be text or a number/],
  ['single', `{"password":"${SECRET}"}`, /the address is missing/],
  ['single', '{"save_path":"h:1","master_name":"m"}', /there is an unknown field/],
  ['single', `http://:${SECRET}@h:1`, /the scheme must be redis, rediss or unix/],
  ['single', `redis://:${SECRET}@h:1/zero`, /the database must be a whole number/],
  ['single', `redis://:${SECRET}@`, /the address is missing/],
  [
    'single',
    `redis://:${SECRET}@h:1?ttl=5`,
    /there is an unknown parameter; known are db, master, prefix, timeout/,
  ],
  ['single', 'redis://h:1?timeout=soon', /timeout must be a whole number of milliseconds/],
  [
    'single',
    `redis://:${SECRET}%@h:1`,
    /the URL is malformed; write special characters in user and password as %XX/,
  ],
  [
    'single',
    `unix://:${SECRET}@host/run/redis.sock`,
    /the URL of a socket file is 'unix:\/\/\/path\/to\/redis\.sock'/,
  ],
  ['cluster', '/run/redis.sock', /^redis_cluster: an address must be/],
  ['cluster', 'unix:///run/redis.sock', /the URL of a socket file/],
  ['cluster', `h:1,100,${SECRET},1`, /a Redis Cluster has database 0 and no other/],
  ['cluster', 'h:1;', /an address must be/],
  ['cluster', '', /^redis_cluster: .*for example '10\.0\.0\.1:7000;10\.0\.0\.2:7000'/],
  ['sentinel', '', /^redis_sentinel: .*for example '10\.0\.0\.1:26379/],
  ['sentinel', `a:1,100,${SECRET},0,m,30,60,3,4`, /there are 9 fields and at most 8/],
]

for (const [mode, text, sentence] of mistakes) {
  test(`${mode}: ${text === '' ? 'an empty string' : text} is refused with a sentence`, (t) => {
    const error = t.throws(() => RedisStore.fromConfig(text, { now: Date.now }, mode), {
      name: 'SessionError',
      code: 'ERR_SESSION_OPTIONS',
    })
    t.regex(error.message, sentence)
    t.false(`${error.message} ${error.stack}`.includes(SECRET))
    t.is(error.cause, undefined)
  })
}

test('either client or url must be given', (t) => {
  t.throws(() => new RedisStore({}), { code: 'ERR_SESSION_OPTIONS', message: /either url or client/ })
  for (const timeout of [0, -1, 1.5, Number.NaN]) {
    t.throws(() => new RedisStore({ url: 'h:1', timeout }), {
      message: 'redis: timeout must be a whole number from 1 to 2147483647',
    })
  }
  t.throws(() => new RedisStore({ url: 'h:1', maxBytes: 0 }), { message: /maxBytes must be/ })
})

async function serves(store: RedisStore): Promise<boolean> {
  try {
    await store.open()
    const { key, entry } = await keep(store)
    return (await store.read(key))?.payload === entry.payload && (await store.destroy(key, entry)) === 'ok'
  } finally {
    await store.close()
  }
}

function configured(text: string, mode: RedisMode): RedisStore {
  return RedisStore.fromConfig(text, { now: Date.now }, mode)
}

test.serial('every form opens sessions on one server', async (t) => {
  const server = await startRedis()
  t.teardown(async () => server.stop())
  const admin = observe(server.port)
  await admin.config('SET', 'requirepass', SECRET)
  admin.disconnect()
  const address = `127.0.0.1:${server.port}`
  for (const text of [
    `${address},100,${SECRET}`,
    `${address},100,${SECRET},2,30,60,3`,
    `:${server.port},100,${SECRET}`,
    `${server.socket},100,${SECRET}`,
    JSON.stringify({ save_path: address, poolsize: 10, password: SECRET, db_num: 1 }),
    `redis://:${SECRET}@${address}`,
    `redis://default:${SECRET}@${address}/3?prefix=other:&timeout=2000`,
    `unix://:${SECRET}@${server.socket}?db=4`,
  ]) {
    t.true(await serves(configured(text, 'single')), text)
  }
})

test.serial('every form opens sessions on a server without a password', async (t) => {
  const server = await redisServer()
  t.teardown(async () => server.stop())
  const { addresses } = parseRedisConfig(server.url, 'single')
  const [address] = addresses.map((each) => ('path' in each ? each.path : `${each.host}:${each.port}`))
  for (const text of [String(address), `{"save_path":"${address}"}`, server.url]) {
    t.true(await serves(configured(text, 'single')), text)
  }
})

test.serial('every form opens sessions on a cluster', async (t) => {
  const server = await redisClusterServer()
  t.teardown(async () => server.stop())
  const addresses = server.url.replace(/^redis:\/\//, '')
  for (const text of [addresses, `${addresses},100,,0`, `{"save_path":"${addresses}"}`, server.url]) {
    t.true(await serves(configured(text, 'cluster')), text)
  }
  const [first] = addresses.split(';')
  t.true(await serves(configured(String(first), 'cluster')))
})

test.serial('every form opens sessions behind sentinels', async (t) => {
  const server = await redisSentinelServer()
  t.teardown(async () => server.stop())
  const { master } = parseRedisConfig(server.url, 'sentinel')
  const addresses = server.url.replace(/^redis:\/\//, '').replace(/\?.*$/, '')
  for (const text of [
    `${addresses},100,,0,${master}`,
    `${addresses},100,,2,${master},30,60,3`,
    JSON.stringify({ save_path: addresses, master_name: master, db_num: 1 }),
    server.url,
  ]) {
    t.true(await serves(configured(text, 'sentinel')), text)
  }
})

test.serial('rediss: is encrypted, and an untrusted certificate is refused', async (t) => {
  const server = await startRedisTls()
  t.teardown(async () => server.stop())
  const ca = await readFile(server.certificate, 'utf8')
  t.true(await serves(new RedisStore({ url: server.url, tls: { ca } })))
  t.true(await serves(new RedisStore({ url: `127.0.0.1:${server.port}`, tls: { ca } })))
  const error = await t.throwsAsync(serves(new RedisStore({ url: server.url, timeout: 1_000 })), {
    code: 'ERR_SESSION_STORE',
  })
  t.is(
    error.message,
    `redis: open failed: 127.0.0.1:${server.port} cannot be reached (DEPTH_ZERO_SELF_SIGNED_CERT)`,
  )
})

for (const [preferred, answers] of [
  ['hostname', true],
  ['ip', false],
] as const) {
  test.serial(
    `the certificate of a cluster's node is checked for the ${preferred} by which the cluster names it`,
    async (t) => {
      // As at managed services: it is for a name, and for no address.
      const server = await startRedisTls('DNS:localhost', [
        ...option('cluster-enabled', 'yes'),
        ...option('tls-cluster', 'yes'), // so that clients are told the port of TLS
        ...option('cluster-announce-ip', '127.0.0.1'),
        ...option('cluster-announce-hostname', 'localhost'),
        ...option('cluster-preferred-endpoint-type', preferred),
      ])
      const node = observe(server.plainPort)
      t.teardown(async () => {
        node.disconnect()
        await server.stop()
      })
      await node.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
      await until('the cluster serves', async () =>
        String(await node.call('CLUSTER', 'INFO')).includes('cluster_state:ok'),
      )
      const ca = await readFile(server.certificate, 'utf8')
      const named = {
        url: `rediss://localhost:${server.port}`,
        mode: 'cluster',
        tls: { ca },
        timeout: 3_000,
      } as const
      if (answers) t.true(await serves(new RedisStore(named)))
      else await t.throwsAsync(serves(new RedisStore(named)), { code: 'ERR_SESSION_STORE' })
      const byAddress = new RedisStore({ ...named, url: `rediss://127.0.0.1:${server.port}` })
      await t.throwsAsync(serves(byAddress), { code: 'ERR_SESSION_STORE' }, 'it is not for an address')
      const untrusted = new RedisStore({ ...named, tls: {} })
      await t.throwsAsync(
        serves(untrusted),
        { code: 'ERR_SESSION_STORE' },
        'nor trusted without its authority',
      )
    },
  )
}

test.serial('a certificate is checked for the host of the address, be it a name or an IP', async (t) => {
  for (const [names, good, bad] of [
    ['DNS:localhost', 'localhost', '127.0.0.1'],
    ['IP:127.0.0.1', '127.0.0.1', 'localhost'],
  ] as const) {
    const server = await startRedisTls(names)
    t.teardown(async () => server.stop())
    const tls = { ca: await readFile(server.certificate, 'utf8') }
    t.true(await serves(new RedisStore({ url: `rediss://${good}:${server.port}`, tls })))
    const other = new RedisStore({ url: `rediss://${bad}:${server.port}`, tls, timeout: 1_000 })
    await t.throwsAsync(serves(other), { message: /ERR_TLS_CERT_ALTNAME_INVALID/ })
  }
})
