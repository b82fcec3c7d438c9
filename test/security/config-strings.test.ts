// An error about a config string quotes no part of it but known words: what stands in the wrong place may be a password.
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { inspect } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import { fromConfig, session, SessionError } from '../../src/index.ts'
import { openProvider } from '../../src/session/providers.ts'
import { parseCouchbaseConfig } from '../../src/stores/couchbase/config.ts'
import { parseMemcacheConfig } from '../../src/stores/memcache/config.ts'
import { parseMysqlConfig } from '../../src/stores/mysql/config.ts'
import { parsePostgresConfig } from '../../src/stores/postgres/config.ts'
import { parseRedisConfig } from '../../src/stores/redis/config.ts'
import { temporaryFolder } from '../support/cleanup.ts'

/** `§` stands for the secret. Each template has it in another position; the first ones of an engine are well-formed. */
const templates: Readonly<Record<string, readonly string[]>> = {
  memory: ['§'],
  file: ['/nowhere/§', 'redis://:§@db/0', 'file:///nowhere/§'],
  sqlite: [
    '/nowhere/§',
    'sqlite:///nowhere/§?sync=false',
    'sqlite:§',
    'redis://:§@db/0',
    'file:///nowhere/§',
    'sqlite://§/sessions.db',
    'sqlite:x.db?§=1',
    'sqlite:x.db?sync=§',
    'sqlite:x.db?timeout=§',
    'sqlite:x.db?table=§-',
    '{"path":"/nowhere/§"}',
    '{"path":"x.db","§":1}',
    '{"path":"x.db","timeout":"§"}',
    '{"path":"x.db","sync":"§"}',
    '{"path":["§"]}',
    '{"path":"§',
  ],
  cookie: [
    '{"keys":["§"]}',
    '{"keys":"§"}',
    '{"§":["x"]}',
    '{"securityKey":"§","blockKey":"0123456789abcdef"}',
    '{"securityKey":"nIa9dL1lyEw2vLjYc4Hd9sPbXhzT0rQm","blockKey":"§"}',
    '{"keys":["nIa9dL1lyEw2vLjYc4Hd9sPbXhzT0rQm"],"name":["§"]}',
    '{"keys":["nIa9dL1lyEw2vLjYc4Hd9sPbXhzT0rQm"],"compress":"§"}',
    '{"keys":["nIa9dL1lyEw2vLjYc4Hd9sPbXhzT0rQm"],"cookieName":"§"}',
    '{"keys":[{"id":"§","secret":"nIa9dL1lyEw2vLjYc4Hd9sPbXhzT0rQm"}]}',
    '{"keys":["§","§"],"maxage":"§"}',
    '§',
  ],
  redis: [
    'redis://:§@db:6379/0',
    'redis://§:pw@db:6379/0',
    'rediss://user:§@db:6379/0?prefix=a',
    'unix://user:§@/run/redis.sock?db=1',
    'db:6379,100,§,0,30,60,3',
    '{"save_path":"db:6379","password":"§","db_num":1}',
    'redis://user:pw@§:6379/0',
    'redis://user:pw@db:§/0',
    'redis://user:pw@db:6379/§',
    'redis://user:pw@db:6379/0?§=1',
    'redis://user:pw@db:6379/0?timeout=§',
    'redis://user:pw@db:6379/0#§',
    '§://user:pw@db:6379/0',
    'db:6379,§,pw,0',
    'db:6379,100,pw,§',
    'db:6379,100,pw,0,§',
    'db:6379,100,pw,0,30,60,3,§',
    '{"§":"db:6379"}',
    '{"save_path":"db:6379","db_num":"§"}',
    '{"save_path":["§"]}',
    '§',
  ],
  redis_cluster: ['redis://user:§@db:7000;db:7001', 'db:7000;db:7001,100,§', 'db:7000;§', '{"§":1}'],
  redis_sentinel: [
    'redis://user:§@db:26379;db:26380/0?master=m',
    'db:26379;db:26380,100,§,0,m',
    'db:26379,100,pw,§,m',
    'redis://db:26379/0?§=m',
  ],
  memcache: [
    'memcache://user:§@db:11211',
    'memcache://§:pw@db:11211',
    'db:11211;memcache://user:§@db:11212',
    '§:11211',
    'db:§',
    'memcache://user:pw@db:11211/§',
    'memcache://user:pw@db:11211?§=1',
    'memcache://user:pw@db:11211#§',
    '§://user:pw@db:11211',
  ],
  couchbase: [
    'couchbase://user:§@db/bucket',
    'couchbase://§:pw@db/bucket',
    'http://user:§@db:8091',
    'http://user:§@db:8091,default,bucket',
    '{"save_path":"http://user:§@db:8091","pool":"default","bucket":"b"}',
    'couchbase://user:pw@§/bucket',
    'couchbase://user:pw@db/§',
    'couchbase://user:pw@db/b/s/c/§',
    'couchbase://user:pw@db/bucket?§=1',
    'http://user:pw@db:8091/§',
    'http://user:pw@db:8091,§,bucket',
    'http://user:pw@db:8091,default,bucket,§',
    '{"§":"http://user:pw@db:8091"}',
    '{"save_path":{"§":1}}',
    '§://user:pw@db/bucket',
  ],
  mysql: [
    'user:§@tcp(db:3306)/shop',
    '§:pw@tcp(db:3306)/shop?timeout=5s',
    'mysql://user:§@db:3306/shop?ssl=true',
    'mysql://§:pw@db:3306/shop',
    'user:pw@tcp(§:3306)/shop',
    'user:pw@tcp(db:§)/shop',
    'user:pw@§(db:3306)/shop',
    'user:pw@tcp(db:3306)/§',
    'user:pw@tcp(db:3306)/shop?§=1',
    'user:pw@tcp(db:3306)/shop?timeout=§',
    'user:pw@tcp(db:3306)/shop?table=§',
    'mysql://user:pw@db:3306/shop?§=1',
    'mysql://user:pw@db:3306/shop?tls=§',
    'mysql://user:pw@db:3306/shop?ssl-mode=§&pool_timeout=§',
    'mysql://user:pw@db:3306/shop?ssl-ca=§',
    'mysql://user:pw@db:3306/shop?sslcert=§&sslkey=§',
    'mysql://user:pw@db:3306/shop?ssl={"ca":"§"}',
    '{"url":"mysql://user:§@db:3306/shop","tls":true}',
    '{"url":"mysql://user:pw@db:3306/shop","ca":"§"}',
    '{"url":"mysql://user:pw@db:3306/shop","§":true}',
    '{"url":"§"}',
    'mysql://user:pw@db:3306/shop#§',
    '§://user:pw@db:3306/shop',
    '§',
  ],
  postgres: [
    'postgres://user:§@db:5432/shop',
    'postgres://§:pw@db:5432/shop?sslmode=disable',
    'host=db user=user password=§ dbname=shop',
    "host=db user=user password='§' dbname=shop",
    'postgres://user:pw@§:5432/shop',
    'postgres://user:pw@db:§/shop',
    'postgres://user:pw@db:5432/shop?§=1',
    'postgres://user:pw@db:5432/shop?sslmode=§',
    'postgres://user:pw@db:5432/shop?sslrootcert=§',
    'postgres://user:pw@db:5432/shop?client_encoding=§',
    'postgres://user:pw@db:5432/shop#§',
    '§://user:pw@db:5432/shop',
    'host=db §=1',
    '§=1',
    'host=db connect_timeout=§',
    'host=db sslcert=§ sslkey=§',
    ...['channel_binding', 'hostaddr', 'passfile', 'require_auth', 'sslaccept', 'target_session_attrs'].map(
      (word) => `postgres://user:pw@db:5432/shop?${word}=§`,
    ),
    'host=db keepalives=§ keepalives_idle=§ connection_limit=§',
    'host=db schema=§ tcp_user_timeout=§',
    '§',
  ],
}

/** Random letters, so that no sentence of ours has four of them in a row; the digits of the last one look like a port. */
const [HEAD, TAIL, DIGITS] = ['Kq7vTzXw', 'mX4pWbQy', '48215'] as const
const SEPARATORS = [...'?#/\\@:;,&=%+|\'"`$!<>()[]{} \t'.split(''), '%zz', '://', '@@', '\u00e9', '\u{1f511}']
const secrets: readonly string[] = [
  HEAD,
  ...SEPARATORS.flatMap((each) => [`${HEAD}${each}${TAIL}`, `${DIGITS}${each}${TAIL}`]),
]

/** Those that are tried together with slips of the keyboard. */
const slipped: readonly string[] = [
  HEAD,
  `${HEAD}?${TAIL}`,
  `${HEAD} ${TAIL}`,
  `${DIGITS}/${TAIL}`,
  `${DIGITS}@${TAIL}`,
]

/** Each part of four characters, in lower case: a URL changes the case of some of its parts. */
function partsOf(secret: string): readonly string[] {
  const text = secret.toLowerCase()
  return Array.from({ length: text.length - 3 }, (_, at) => text.slice(at, at + 4)).filter(
    (part) => part !== '://m',
  )
}

/** The text, and the texts that a slip of the keyboard makes of it: one character of punctuation is missing or doubled. */
function slipsOf(template: string): readonly string[] {
  const marks = [...template.matchAll(/[^\w§]/g)].map(({ index }) => index)
  return [
    ...marks.map((at) => template.slice(0, at) + template.slice(at + 1)),
    ...marks.map((at) => template.slice(0, at) + template.slice(at, at + 1) + template.slice(at)),
    ...marks.map((at) => template.slice(0, at)).filter((text) => text.includes('§')),
  ]
}

/** The text of an error with its causes, as a logger would print it. */
function textOf(error: unknown): string {
  const stacks: string[] = []
  for (let each = error; each instanceof Error; each = each.cause)
    stacks.push(`${each.message} ${each.stack}`)
  return `${stacks.join(' ')} ${inspect(error, { depth: 10, showHidden: true })} ${JSON.stringify(error)}`
}

/** The parts of the secret that the error shows. */
function shownIn(error: unknown, secret: string): readonly string[] {
  const text = textOf(error)
    .replace(/(\.ts):\d+:\d+/g, '$1') // the digits of a place in the source are no part of the secret
    .toLowerCase()
  return partsOf(secret).filter((part) => text.includes(part))
}

/** Runs `open` and notes what its error shows. Returns whether it threw. */
function refuses(t: ExecutionContext, config: string, secret: string, open: () => void): boolean {
  try {
    open()
    return false
  } catch (error) {
    const shown = error instanceof SessionError ? shownIn(error, secret) : ['an error of another class']
    if (shown.length > 0) t.fail(`${JSON.stringify(config)}: ${shown.join(' ')} in ${textOf(error)}`)
    return true
  }
}

for (const [provider, configs] of Object.entries(templates)) {
  test(`security 38: no error about a config string of ${provider} quotes a part of it`, (t) => {
    let refused = 0
    const attempt = (template: string, secret: string): void => {
      const config = template.replaceAll('§', () => secret)
      if (refuses(t, config, secret, () => void openProvider(provider, config, { now: Date.now })))
        refused += 1
    }
    for (const template of configs) for (const secret of secrets) attempt(template, secret)
    for (const template of configs.flatMap(slipsOf)) for (const secret of slipped) attempt(template, secret)
    if (provider === 'memory') t.is(refused, 0)
    else t.true(refused > 100, String(refused))
  })
}

/** What the driver is told to connect to, which the system's errors may quote. */
const hostsOf: Readonly<Record<string, (config: string) => unknown>> = {
  redis: (config) => parseRedisConfig(config, 'single').addresses,
  redis_cluster: (config) => parseRedisConfig(config, 'cluster').addresses,
  redis_sentinel: (config) => parseRedisConfig(config, 'sentinel').addresses,
  memcache: (config) => parseMemcacheConfig(config).map(({ host }) => host),
  couchbase: (config) => {
    const { cluster, manager } = parseCouchbaseConfig(config)
    return [cluster, manager]
  },
  mysql: (config) => parseMysqlConfig(config).host,
  postgres: (config) => parsePostgresConfig(config).client.host,
}

for (const [provider, addressesOf] of Object.entries(hostsOf)) {
  test(`security 38: no part of a password in a config string of ${provider} is taken for the address of the server`, (t) => {
    let accepted = 0
    const misread: string[] = []
    for (const secret of secrets) {
      for (const template of configsWithPassword(provider)) {
        const config = template.replace('§', () => secret)
        let addresses: unknown
        try {
          addresses = addressesOf(config)
        } catch {
          continue // the other test looks at the error
        }
        accepted += 1
        const text = JSON.stringify(addresses).toLowerCase()
        if (partsOf(secret).some((part) => text.includes(part))) misread.push(`${config} ${text}`)
      }
    }
    t.deepEqual(misread, [])
    t.true(accepted > 0)
  })
}

/** The templates with the secret as a password, and those in which the user is missing or the password has no colon. */
function configsWithPassword(provider: string): readonly string[] {
  const configs = (templates[provider] ?? []).filter(
    (template) => /:§@|,§|password[":=']*§/.test(template) && !/db:§/.test(template),
  )
  const withoutUser = configs.map((template) => template.replace(/\/\/\w*:§@/, '//§@'))
  return [...configs, ...withoutUser].filter((template) => !/;§|,(?:0|pw|§,pw),?§|,§,pw/.test(template))
}

const settings = [
  'sessionon',
  'sessionprovider',
  'sessionname',
  'sessiongcmaxlifetime',
  'sessionproviderconfig',
  'sessionhashfunc',
  'sessionautosetcookie',
  'sessioncookielifetime',
  'sessiondomain',
  'sessioncookiesamesite',
  'sessionsecure',
  'sessiondisablehttponly',
  'sessionenablesidinhttpheader',
  'sessionidprefix',
  'sessionconfig',
]

test('security 38: no error about the settings of beego quotes them, in an object, in JSON or in an ini file', async (t) => {
  const ini = path.join(await temporaryFolder('kts-config-'), 'app.conf')
  let refused = 0
  const attempt = async (
    secret: string,
    source: string | Readonly<Record<string, string>>,
  ): Promise<void> => {
    if (typeof source === 'string') await writeFile(ini, source)
    const read = (): unknown => session(fromConfig(typeof source === 'string' ? ini : source, {}))
    if (refuses(t, JSON.stringify(source), secret, read)) refused += 1
  }
  for (const secret of secrets) {
    await attempt(secret, { [`session${secret.replaceAll('_', '')}`]: 'true' })
    await attempt(secret, `session${secret} = true\n`)
    await attempt(secret, `sessionon = true\n${secret.replace('=', '')}\n`)
    await attempt(secret, `[dev]\n[${secret}\n`)
    await attempt(secret, { sessionconfig: JSON.stringify({ [secret]: 1 }) })
    await attempt(secret, { sessionconfig: JSON.stringify({ gclifetime: secret }) })
    await attempt(secret, { sessionconfig: `{"cookieName":${secret}` })
    await attempt(secret, {
      sessionconfig: JSON.stringify({ providerConfig: { a: secret } }),
      sessionprovider: 'redis',
    })
    for (const name of settings) {
      await attempt(secret, { [name]: secret })
      await attempt(secret, {
        sessionprovider: 'redis',
        sessionproviderconfig: 'db',
        [name]: `redis://:${secret}@db`,
      })
    }
  }
  t.true(refused > 500, String(refused))
})

test('security 38: a config string in the place of the path or the provider is not quoted either', (t) => {
  for (const secret of secrets) {
    const config = `redis://:${secret}@db/0`
    t.true(refuses(t, config, secret, () => void fromConfig(config, {})))
    t.true(refuses(t, config, secret, () => void session({ provider: config })))
    t.true(refuses(t, config, secret, () => void session({ provider: 'file', providerConfig: config })))
  }
})

test('an error about an unknown name says which known one may have been meant', (t) => {
  const meant = (config: Readonly<Record<string, string>>): string =>
    t.throws(() => fromConfig(config, {}), { code: 'ERR_SESSION_OPTIONS' }).message
  t.regex(meant({ sessionprovder: 'file' }), /did you mean sessionprovider\?$/)
  t.regex(meant({ sessionconfig: '{"cookieNam":1}' }), /did you mean cookiename\?$/)
  t.notRegex(meant({ sessionwhatever: 'file' }), /did you mean/)
})
