import { EventEmitter } from 'node:events'
import { chmod, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { PassThrough } from 'node:stream'
import test from 'ava'
import type { Client } from 'pg'
import { guardedClient } from '../../../src/stores/postgres/authentication.ts'
import { parsePostgresConfig, type PostgresConfig } from '../../../src/stores/postgres/config.ts'
import { postgresSettings } from '../../../src/stores/postgres/options.ts'
import { mostTelling } from '../../../src/stores/postgres/errors.ts'
import { temporaryFolder } from '../../support/cleanup.ts'

const SECRET = 'sw0rdfish'

/** The ways to encrypt, in one word each. */
function waysOf({ encryption }: PostgresConfig): string {
  return encryption
    .map((way) => {
      if (way === false) return 'plain'
      if (way.rejectUnauthorized === false) return 'unchecked'
      return way.checkServerIdentity === undefined ? 'full' : 'ca'
    })
    .join()
}

function codesOf({ warnings }: PostgresConfig): readonly string[] {
  return warnings.map(({ code }) => code.replace('KTS_', ''))
}

/** As vendors and other libraries write them, with other names: what is expected of the parts that are not an address. */
const STRINGS: ReadonlyArray<readonly [vendor: string, text: string, ways: string, more: object]> = [
  [
    'Neon',
    `postgresql://alex:${SECRET}@ep-cool-darkness-a1b2c3d4-pooler.us-east-2.aws.neon.tech/dbname?sslmode=require&channel_binding=require`,
    'unchecked',
    { authentication: { binding: 'require', methods: undefined } },
  ],
  [
    'Neon, for clients without SNI',
    `postgres://alex:${SECRET}@ep-cool.us-east-2.aws.neon.tech/dbname?sslmode=verify-full&options=endpoint%3Dep-cool`,
    'full',
    {},
  ],
  [
    'Supabase',
    `postgresql://postgres.abcdefgh:${SECRET}@aws-0-eu-central-1.pooler.supabase.com:6543/postgres?pgbouncer=true&connection_limit=1&sslmode=no-verify`,
    'unchecked',
    { isPooled: true, maxConnections: 1, codes: ['TLS_NOT_VERIFIED'] },
  ],
  [
    'Supabase by Vercel',
    `postgres://postgres.abcdefgh:${SECRET}@aws-0-us-east-1.pooler.supabase.com:6543/postgres?sslmode=require&supa=base-pooler.x`,
    'unchecked',
    {},
  ],
  [
    'Heroku',
    `postgres://u1:${SECRET}@ec2-1-2-3-4.compute-1.amazonaws.com:5432/d1`,
    'unchecked,plain',
    { codes: ['TLS_NOT_REQUIRED'] },
  ],
  [
    'Heroku with pg',
    `postgres://u1:${SECRET}@ec2-1-2-3-4.compute-1.amazonaws.com:5432/d1?ssl=no-verify`,
    'unchecked',
    { codes: ['TLS_NOT_VERIFIED'] },
  ],
  [
    'RDS',
    `postgres://app:${SECRET}@shop.abc.eu-west-1.rds.amazonaws.com:5432/shop?sslmode=verify-full&target_session_attrs=read-write&keepalives_idle=60`,
    'full',
    { target: 'read-write' },
  ],
  [
    'Azure',
    `host=shop.postgres.database.azure.com port=5432 dbname=shop user=app password=${SECRET} sslmode=require gssencmode=disable`,
    'unchecked',
    {},
  ],
  [
    'DigitalOcean',
    `postgresql://doadmin:${SECRET}@db-postgresql-ams3-1-do-user-1-0.b.db.ondigitalocean.com:25060/defaultdb?sslmode=require`,
    'unchecked',
    {},
  ],
  [
    'Aiven',
    `postgres://avnadmin:${SECRET}@pg-1.aivencloud.com:12345/defaultdb?sslmode=require`,
    'unchecked',
    {},
  ],
  [
    'pg with the meaning of libpq',
    `postgres://app:${SECRET}@db.example.org/shop?uselibpqcompat=true&sslmode=require`,
    'unchecked',
    {},
  ],
  [
    'pg with its own meaning',
    `postgres://app:${SECRET}@db.example.org/shop?uselibpqcompat=false&sslmode=require`,
    'unchecked',
    { codes: ['PARAMETER_IGNORED'], ignored: /uselibpqcompat \(sslmode has libpq's meaning\)/ },
  ],
  [
    'Prisma',
    `postgresql://app:${SECRET}@db.example.org:5432/shop?schema=app&connection_limit=5&pool_timeout=20&socket_timeout=3&statement_cache_size=100&connect_timeout=7&sslmode=require&sslaccept=strict`,
    'full',
    {
      schema: 'app',
      maxConnections: 5,
      timeout: 3_000,
      codes: ['PARAMETER_IGNORED'],
      ignored: /pool_timeout .*statement_cache_size/,
    },
  ],
  [
    'Prisma, which accepts what comes',
    `postgresql://app:${SECRET}@db.example.org:5432/shop?sslmode=require&sslaccept=accept_invalid_certs`,
    'unchecked',
    { codes: ['TLS_NOT_VERIFIED'] },
  ],
  [
    'lib/pq',
    `postgres://app:${SECRET}@db.example.org/shop?sslmode=disable&binary_parameters=yes`,
    'plain',
    { codes: ['PARAMETER_IGNORED'], ignored: /binary_parameters/ },
  ],
  [
    'pgx',
    `postgres://app:${SECRET}@db.example.org/shop?sslmode=verify-full&pool_max_conns=7&pool_min_conns=2&statement_timeout=900`,
    'full',
    { maxConnections: 7, statementTimeout: 900, codes: ['PARAMETER_IGNORED'], ignored: /pool_min_conns/ },
  ],
  [
    'GORM',
    `host=localhost user=gorm password=${SECRET} dbname=gorm port=9920 sslmode=disable TimeZone=Asia/Shanghai`,
    'plain',
    {},
  ],
  [
    'libpq with all of TCP',
    `host=db.example.org password=${SECRET} sslmode=disable keepalives=1 keepalives_idle=5 keepalives_interval=2 keepalives_count=3 tcp_user_timeout=9000 gssencmode=prefer krbsrvname=postgres`,
    'plain',
    {
      codes: ['PARAMETER_IGNORED'],
      ignored: /keepalives_count .*keepalives_interval .*krbsrvname .*tcp_user_timeout/,
    },
  ],
]

for (const [vendor, text, ways, more] of STRINGS) {
  test(`a string of ${vendor} is taken as it is`, (t) => {
    const config = parsePostgresConfig(text, {})
    const { codes = [], ignored = /^/, ...fields } = more as { codes?: string[]; ignored?: RegExp } & object
    t.is(waysOf(config), ways)
    t.like(config, { client: { password: SECRET }, ...fields })
    t.deepEqual(codesOf(config), codes)
    const told = config.warnings.map(({ text: said }) => said).join(' ')
    t.regex(told, ignored)
    t.false(told.includes(SECRET))
  })
}

test('hostaddr is the address, and host the name that the certificate must be for', (t) => {
  const config = (text: string): object => {
    const { client, encryption } = parsePostgresConfig(`${text} sslmode=verify-full`, {})
    const { host, servername } = Object(encryption[0])
    return { address: client.host, host, servername }
  }
  t.deepEqual(config('host=db.example.org hostaddr=192.0.2.7'), {
    address: '192.0.2.7',
    host: 'db.example.org',
    servername: 'db.example.org',
  })
  t.deepEqual(config('host=192.0.2.8 hostaddr=192.0.2.7'), {
    address: '192.0.2.7',
    host: '192.0.2.8',
    servername: undefined,
  })
  t.deepEqual(config('hostaddr=2001:db8::7'), {
    address: '2001:db8::7',
    host: '2001:db8::7',
    servername: undefined,
  })
  const url = parsePostgresConfig('postgres://db.example.org/shop?hostaddr=192.0.2.7&sslmode=disable', {})
  t.is(url.client.host, '192.0.2.7')
})

test('keepalives are those of the driver, and can be turned off', (t) => {
  const of = (text: string): readonly unknown[] => {
    const { client } = parsePostgresConfig(`user=a ${text}`, {})
    return [client.keepAlive, client.keepAliveInitialDelayMillis]
  }
  t.deepEqual(of(''), [true, 30_000])
  t.deepEqual(of('keepalives=1 keepalives_idle=5'), [true, 5_000])
  t.deepEqual(of('keepalives_idle=0'), [true, 0])
  t.deepEqual(of('keepalives=0 keepalives_idle=5'), [false, undefined])
})

test('TLS versions and the direct negotiation are passed on', (t) => {
  const { client, encryption } = parsePostgresConfig(
    'host=db sslmode=require sslnegotiation=direct ssl_min_protocol_version=TLSv1.2 ssl_max_protocol_version=TLSv1.3',
    {},
  )
  t.is(client.sslnegotiation, 'direct')
  t.like(encryption[0], { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3' })
})

test('channel_binding=require leaves only the ways with TLS', (t) => {
  t.is(waysOf(parsePostgresConfig('host=db channel_binding=require', {})), 'unchecked')
  t.is(waysOf(parsePostgresConfig('host=db channel_binding=prefer', {})), 'unchecked,plain')
  t.is(waysOf(parsePostgresConfig('host=db sslmode=allow', { PGCHANNELBINDING: 'require' })), 'unchecked')
  t.is(waysOf(parsePostgresConfig('host=/run channel_binding=prefer', {})), 'plain')
})

test('require_auth is a list of methods, or of those that are not allowed', (t) => {
  const of = (value: string): unknown =>
    [...(parsePostgresConfig(`user=a require_auth=${value}`, {}).authentication.methods ?? [])].join()
  t.is(of('scram-sha-256'), 'scram-sha-256')
  t.is(of('md5,scram-sha-256,gss'), 'md5,scram-sha-256')
  t.is(of('!password,!none'), 'md5,scram-sha-256')
  t.is(of(''), '')
})

test('what Prisma calls sslcert is the authority, where sslaccept shows that the string is meant for it', async (t) => {
  const file = path.join(await temporaryFolder('kts-vendor-'), 'ca.pem')
  await writeFile(file, 'an authority')
  const of = (text: string): object => Object(parsePostgresConfig(`user=a ${text}`, {}).encryption[0])
  t.like(of(`sslaccept=strict sslcert=${file}`), { ca: Buffer.from('an authority'), cert: undefined })
  t.like(of(`sslmode=require sslcert=${file} sslkey=${file}`), { cert: Buffer.from('an authority') })
})

for (const [text, complaint] of [
  ['host=db sslmode=disable channel_binding=require', /cannot have channel_binding=require without TLS/],
  ['host=/run/postgresql channel_binding=require', /cannot have channel_binding=require without TLS/],
  ['host=db sslmode=disable sslaccept=strict', /cannot have sslaccept=strict with sslmode=disable/],
  ['host=db sslmode=no-verify sslaccept=strict', /cannot have sslaccept=strict with sslmode=no-verify/],
  [
    'host=db sslmode=verify-full sslaccept=accept_invalid_certs',
    /cannot have sslaccept=accept_invalid_certs/,
  ],
  ['host=db sslmode=prefer sslnegotiation=direct', /must have sslmode=require or a stricter one/],
  ['host=db sslmode=no-verify sslrootcert=system', /must be sslmode=verify-full with sslrootcert=system/],
  ['host=db gssencmode=require', /does not know GSSAPI/],
  ['host=db target_session_attrs=read-only', /a store of sessions writes/],
  ['host=db target_session_attrs=standby', /a store of sessions writes/],
  ['host=db require_auth=gss', /allows no method as require_auth that the driver knows/],
  ['host=db require_auth=md5,!none', /must have a list of password, md5/],
  ['host=/run/postgresql hostaddr=192.0.2.7', /cannot have a folder as host together with hostaddr/],
  ['hostaddr=db.example.org', /must have an IP address as hostaddr/],
  ['hostaddr=192.0.2.7,192.0.2.8', /takes one host/],
  ['channel_binding=sw0rdfish', /knows the values disable, prefer and require of channel_binding/],
  ['target_session_attrs=sw0rdfish', /knows the values any, read-write, .* of target_session_attrs/],
  ['sslaccept=sw0rdfish', /knows the values strict and accept_invalid_certs of sslaccept/],
  ['ssl_min_protocol_version=sw0rdfish', /knows the values TLSv1, .* of ssl_min_protocol_version/],
  ['keepalives=yes', /whole number from 0 to 1 as keepalives/],
  ['connection_limit=0', /whole number from 1 to 10000 as connection_limit/],
  ['passfile=/nowhere/sw0rdfish', /as passfile that cannot be read \(ENOENT\)/],
] as const) {
  test(`what contradicts, or is unknown, is refused: ${text}`, (t) => {
    const error = t.throws(() => parsePostgresConfig(text, {}), { code: 'ERR_SESSION_OPTIONS' })
    t.regex(error.message, complaint)
    t.false(error.message.includes(SECRET))
  })
}

test('a variable of the environment that contradicts is named', (t) => {
  for (const [variables, complaint] of [
    [{ PGCHANNELBINDING: 'require' }, /^postgres: PGCHANNELBINDING in the environment cannot have/],
    [{ PGTARGETSESSIONATTRS: 'standby' }, /^postgres: PGTARGETSESSIONATTRS in the environment/],
    [{ PGGSSENCMODE: 'require' }, /^postgres: PGGSSENCMODE in the environment/],
    [{ PGREQUIREAUTH: 'sspi' }, /^postgres: PGREQUIREAUTH in the environment/],
  ] as const)
    t.throws(() => parsePostgresConfig('host=db sslmode=disable', variables), { message: complaint })
})

test('TLS that the server may leave out is a warning on a host that is not local', (t) => {
  for (const [text, variables, isTold] of [
    ['host=db.example.org', {}, true],
    ['host=db.example.org sslmode=prefer', {}, true],
    ['host=db.example.org sslmode=allow', {}, true],
    ['host=10.0.0.7', {}, true],
    ['host=localhost hostaddr=10.0.0.7', {}, true],
    ['user=a', { PGHOST: 'db.example.org' }, true],
    ['host=db.example.org', { PGSSLMODE: 'prefer' }, true],
    ['host=db.example.org', { PGSSLMODE: 'require' }, false],
    ['host=db.example.org sslmode=disable', {}, false],
    ['host=db.example.org sslmode=require', {}, false],
    ['host=db.example.org sslmode=verify-full', {}, false],
    ['user=a', {}, false],
    ['host=localhost', {}, false],
    ['host=LOCALHOST', {}, false],
    ['host=shop.localhost', {}, false],
    ['host=127.0.0.1', {}, false],
    ['host=127.8.8.8', {}, false],
    ['host=db.example.org hostaddr=127.0.0.1', {}, false],
    ['postgres://[::1]/shop', {}, false],
    ['host=/run/postgresql', {}, false],
    ['user=a', { PGHOST: '/run/postgresql' }, false],
    ['host=127.0.0.1.example.org', {}, true],
    ['host=localhost.example.org', {}, true],
  ] as const) {
    const codes = codesOf(parsePostgresConfig(text, variables))
    t.deepEqual(codes, isTold ? ['TLS_NOT_REQUIRED'] : [], text)
  }
})

test('pgbouncer=true contradicts prepare, and schema is that of a table without one', (t) => {
  const settings = (query: string, options = {}): object =>
    postgresSettings({ url: `postgres://localhost/shop?${query}`, ...options })
  t.throws(() => settings('pgbouncer=true', { prepare: true }), {
    code: 'ERR_SESSION_OPTIONS',
    message: 'postgres: prepare cannot be true with pgbouncer=true in the url',
  })
  t.like(settings('pgbouncer=true'), { prepare: false })
  t.like(settings('pgbouncer=false', { prepare: true }), { prepare: true })
  t.like(settings('schema=app'), { table: 'app.session' })
  t.like(settings('schema=app', { table: 'other.visits' }), { table: 'other.visits' })
  t.throws(() => settings('schema=a"b'), { message: /schema in the config string must be a plain name/ })
  t.like(settings('connection_limit=3&socket_timeout=2'), { maxConnections: 3, timeout: 2_000 })
  t.like(settings('connection_limit=3&socket_timeout=2', { maxConnections: 5, timeout: 700 }), {
    maxConnections: 5,
    timeout: 700,
  })
})

test('each warning is a warning of the process, once', async (t) => {
  const warnings: Error[] = []
  const note = (warning: Error): void => void warnings.push(warning)
  process.on('warning', note)
  t.teardown(() => void process.removeListener('warning', note))
  const url = `postgres://app:${SECRET}@db.example.org/shop?tcp_user_timeout=5`
  postgresSettings({ url })
  postgresSettings({ url: `${url}&keepalives=1` })
  await new Promise(setImmediate)
  t.deepEqual(
    warnings.map((warning) => [warning.name, Object(warning).code, warning.message.includes(SECRET)]),
    [
      ['SessionWarning', 'KTS_TLS_NOT_REQUIRED', false],
      ['SessionWarning', 'KTS_PARAMETER_IGNORED', false],
    ],
  )
  t.regex(warnings[0]?.message ?? '', /^postgres: sslmode=prefer, the default, on a host that is not local: /)
  t.regex(
    warnings[1]?.message ?? '',
    /^postgres: the config string has parameters without effect here: tcp_user_timeout \(a call ends after the option timeout\)/,
  )
})

/** What `password` is, as the driver asks for it. */
async function passwordOf(text: string, variables = {}): Promise<unknown> {
  const { password } = parsePostgresConfig(text, variables).client
  return typeof password === 'function' ? password() : password
}

test('the password is that of the first line of the passfile that fits, as in libpq', async (t) => {
  const file = path.join(await temporaryFolder('kts-passfile-'), 'pgpass')
  await writeFile(
    file,
    '# a comment\n\nnot a line\n' +
      'db:5432:shop:ann:first\ndb:5432:shop:ann:second\ndb:6543:*:ann:port\n*:*:other:*:any\\:colon\\\\\n' +
      'localhost:5432:shop:ann:socket\n\\:\\:1:*:*:*:six:rest\n192.0.2.7:*:*:*:address\r\n',
    { mode: 0o600 },
  )
  const at = `passfile=${file} dbname=shop user=ann`
  t.is(await passwordOf(`${at} host=db`), 'first')
  t.is(await passwordOf(`${at} host=db port=6543`), 'port')
  t.is(await passwordOf(`${at} host=else dbname=other`), 'any:colon\\')
  t.is(await passwordOf(at), 'socket')
  t.is(await passwordOf(`${at} host=/run/postgresql`), 'socket')
  t.is(await passwordOf(`${at} host=::1`), 'six')
  t.is(await passwordOf(`${at} hostaddr=192.0.2.7`), 'address')
  t.is(await passwordOf(`${at} host=db hostaddr=192.0.2.7`), 'first')
  t.is(await passwordOf(`passfile=${file}`, { PGHOST: 'db', PGUSER: 'ann', PGDATABASE: 'shop' }), 'first')
  t.is(await passwordOf(`${at} host=db password=given`), 'given')
  t.is(
    await passwordOf(`${at} host=db`, { PGPASSWORD: 'x' }),
    undefined,
    'the driver takes that of the environment',
  )
  await t.throwsAsync(passwordOf(`${at} host=elsewhere`), { message: /no line for this host/ })
})

test('a passfile that others may read is refused, and one that is changed is read anew', async (t) => {
  const file = path.join(await temporaryFolder('kts-passfile-'), 'pgpass')
  await writeFile(file, '*:*:*:*:old', { mode: 0o600 })
  const { password } = parsePostgresConfig(`user=a passfile=${file}`, {}).client
  if (typeof password !== 'function') return t.fail('the password is looked up')
  t.is(await password(), 'old')
  await writeFile(file, '*:*:*:*:new')
  t.is(await password(), 'new')
  await chmod(file, 0o640)
  t.throws(() => parsePostgresConfig(`user=a passfile=${file}`, {}), { message: /chmod 600/ })
})

test('a version of pg that cannot keep the rules is refused, where there are any', (t) => {
  class WithoutBinding extends EventEmitter {
    readonly connection = Object.assign(new EventEmitter(), { stream: new PassThrough() })
  }
  const made = (Base: unknown, text: string): unknown => {
    const { authentication } = parsePostgresConfig(text, {})
    return new (guardedClient(Base as typeof Client, authentication))()
  }
  for (const text of ['channel_binding=require', 'require_auth=scram-sha-256'])
    t.throws(() => made(EventEmitter, text), { message: /does not allow to check how the server/ })
  t.throws(() => made(WithoutBinding, 'channel_binding=require'), {
    message: /does not know channel binding/,
  })
  t.notThrows(() => made(WithoutBinding, 'require_auth=scram-sha-256'))
  t.notThrows(() => made(EventEmitter, 'channel_binding=prefer'))
})

/** An error as the driver makes it of an answer of the server. */
function answer(code: string, message: string): Error {
  return Object.assign(new Error(message), { severity: 'FATAL', code })
}

test('of a chain of refusals the one is told that says most', (t) => {
  const tls = new Error('The server does not support SSL connections')
  const parameter = answer('08P01', 'unsupported startup parameter: statement_timeout')
  const unknown = answer('42704', 'unrecognized configuration parameter "statement_timeout"')
  const forbidden = answer('28000', 'no pg_hba.conf entry for host')
  const full = answer('08P01', 'no more connections allowed (max_client_conn)')
  for (const [chain, told] of [
    [[tls, tls, parameter, full], full],
    [[tls, tls, parameter, parameter], parameter],
    [[tls, tls, unknown, tls], unknown],
    [[tls, tls], tls],
    [[forbidden, forbidden, tls, tls], forbidden],
    [[parameter, forbidden], forbidden],
  ] as const)
    t.is(mostTelling(chain), told)
})
