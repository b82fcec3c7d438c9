import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import test from 'ava'
import { parsePostgresConfig, type PostgresConfig } from '../../../src/stores/postgres/config.ts'
import { PostgresStore } from '../../../src/stores/postgres.ts'
import { temporaryFolder } from '../../support/cleanup.ts'

const SECRET = 'sw0rdfish'

interface Parts {
  readonly host?: string
  readonly port?: number
  readonly user?: string
  readonly password?: string
  readonly database?: string
}

const FORMS: Readonly<Record<string, Parts>> = {
  'postgres://user:pw@host:6543/name': {
    host: 'host',
    port: 6543,
    user: 'user',
    password: 'pw',
    database: 'name',
  },
  'postgresql://user@host/name': { host: 'host', user: 'user', database: 'name' },
  'postgres://host': { host: 'host' },
  'postgres:///name': { database: 'name' },
  'postgres://user:pw@/name': { user: 'user', password: 'pw', database: 'name' },
  'postgres://u%40x:p%3A%2F%40%25@host/na%2Fme': {
    host: 'host',
    user: 'u@x',
    password: 'p:/@%',
    database: 'na/me',
  },
  'postgres://user:p#w:x@host/name': { host: 'host', user: 'user', password: 'p#w:x', database: 'name' },
  'postgres://[::1]:6543/name': { host: '::1', port: 6543, database: 'name' },
  'postgres://%2Frun%2Fpostgresql/name': { host: '/run/postgresql', database: 'name' },
  'postgres:///name?host=/run/postgresql&port=6543&user=u&password=p%20w': {
    host: '/run/postgresql',
    port: 6543,
    user: 'u',
    password: 'p w',
    database: 'name',
  },
  'user=a password=b dbname=c sslmode=disable': { user: 'a', password: 'b', database: 'c' },
  "host = 'host' port = '6543' dbname = 'a name'": { host: 'host', port: 6543, database: 'a name' },
  "user=a password='it\\'s \\\\ here' dbname=c": { user: 'a', password: "it's \\ here", database: 'c' },
  "password='' user=a": { user: 'a' },
  'password=a\\ b\\\\c user=a': { user: 'a', password: 'a b\\c' },
  "password=it's user=a": { user: 'a', password: "it's" },
  '\n  host=/run/postgresql\n  user=a\t dbname=c \n': { host: '/run/postgresql', user: 'a', database: 'c' },
  'password=x=y user=a': { user: 'a', password: 'x=y' },
  'password=postgres://x user=a': { user: 'a', password: 'postgres://x' },
}

for (const [text, parts] of Object.entries(FORMS)) {
  test(`is read as libpq reads it: ${JSON.stringify(text)}`, (t) => {
    const { host, port, user, password, database } = parsePostgresConfig(text).client
    t.deepEqual(
      { host, port, user, password, database },
      {
        host: undefined,
        port: undefined,
        user: undefined,
        password: undefined,
        database: undefined,
        ...parts,
      },
    )
  })
}

test('of a repeated keyword the last value counts', (t) => {
  t.is(parsePostgresConfig('user=a user=b').client.user, 'b')
  t.is(parsePostgresConfig('postgres://a@host/x?user=b').client.user, 'b')
})

test('timeout, application name and search path are passed on', (t) => {
  const { client } = parsePostgresConfig(
    "connect_timeout=7 application_name=shop options='-c geqo=off' search_path='app, \"my schema\"'",
  )
  t.is(client.connectionTimeoutMillis, 7_000)
  t.is(client.application_name, 'shop')
  t.is(client.options, '-c geqo=off -c search_path=app,\\ "my\\ schema"')
  t.is(parsePostgresConfig('connect_timeout=0').client.connectionTimeoutMillis, undefined)
  t.is(parsePostgresConfig('user=a').client.fallback_application_name, 'koa-typed-session')
})

test('certificates are read from their files at once', async (t) => {
  const folder = await temporaryFolder('kts-address-')
  const [cert, key, ca] = ['cert', 'key', 'ca'].map((name) => path.join(folder, name))
  for (const file of [cert, key, ca]) await writeFile(String(file), `in ${path.basename(String(file))}`)
  const text = `sslcert=${cert} sslkey=${key} sslpassword=pw sslrootcert=${ca}`
  const { encryption } = parsePostgresConfig(`${text} sslmode=verify-full`)
  t.deepEqual(encryption, [
    {
      cert: Buffer.from('in cert'),
      key: Buffer.from('in key'),
      ca: Buffer.from('in ca'),
      passphrase: 'pw',
      rejectUnauthorized: true,
    },
  ])
  const variables = { PGSSLMODE: 'verify-full', PGSSLROOTCERT: ca, PGSSLCERT: cert, PGSSLKEY: key }
  t.deepEqual(parsePostgresConfig('user=a sslpassword=pw', variables).encryption, encryption)
})

test("PGSSLMODE is the sslmode of a string that gives none, by libpq's meaning", (t) => {
  for (const mode of ['disable', 'allow', 'prefer', 'require', 'verify-full']) {
    for (const text of ['user=a', 'postgres://a@b/c']) {
      const separator = text.includes('://') ? '?' : ' '
      t.deepEqual(
        shape(parsePostgresConfig(text, { PGSSLMODE: mode })),
        shape(parsePostgresConfig(`${text}${separator}sslmode=${mode}`, {})),
        mode,
      )
      // What is given takes precedence.
      t.deepEqual(shape(parsePostgresConfig(`${text}${separator}sslmode=disable`, { PGSSLMODE: mode })), [
        false,
      ])
    }
  }
  t.deepEqual(
    shape(parsePostgresConfig('user=a', {})),
    shape(parsePostgresConfig('user=a sslmode=prefer', {})),
  )
})

test('a value of PGSSLMODE that libpq does not know is refused, and not repeated', (t) => {
  for (const mode of ['', 'on', 'true', 'verify', 'VERIFY-FULL', 'verify_full', ' require', SECRET]) {
    const error = t.throws(() => parsePostgresConfig('user=a', { PGSSLMODE: mode }), {
      message: /^postgres: PGSSLMODE in the environment knows the sslmodes disable, allow, prefer, require, /,
    })
    t.like(error, { code: 'ERR_SESSION_OPTIONS' })
    t.false(error.message.includes(SECRET))
  }
})

test('a file of the environment that cannot be read is named by its variable; an empty name is none', (t) => {
  for (const variable of ['PGSSLROOTCERT', 'PGSSLCERT', 'PGSSLKEY']) {
    const of = (value: string): unknown =>
      parsePostgresConfig('user=a', { PGSSLMODE: 'verify-full', [variable]: value })
    t.throws(() => of('/nowhere/at-all'), {
      code: 'ERR_SESSION_OPTIONS',
      message: new RegExp(`^postgres: ${variable} in the environment names a file .*\\(ENOENT\\)$`),
    })
    t.notThrows(() => of(''))
  }
})

test('sslrootcert=system is for verify-full alone, and makes it the default', (t) => {
  const full = shape(parsePostgresConfig('user=a sslmode=verify-full', {}))
  for (const [text, variables] of [
    ['user=a sslrootcert=system', {}],
    ['user=a', { PGSSLROOTCERT: 'system' }],
    ['user=a sslmode=verify-full', { PGSSLROOTCERT: 'system' }],
  ] as const) {
    t.deepEqual(shape(parsePostgresConfig(text, variables)), full)
  }
  for (const mode of ['disable', 'allow', 'prefer', 'require', 'verify-ca']) {
    t.throws(() => parsePostgresConfig(`user=a sslmode=${mode} sslrootcert=system`, {}), {
      message: /must be sslmode=verify-full with sslrootcert=system/,
    })
    t.throws(() => parsePostgresConfig('user=a', { PGSSLMODE: mode, PGSSLROOTCERT: 'system' }), {
      message: /^postgres: PGSSLMODE in the environment must be/,
    })
  }
})

test('as in libpq a socket file is not encrypted, whatever the mode, and wherever the file is named', (t) => {
  for (const mode of ['disable', 'allow', 'prefer', 'require', 'verify-full']) {
    t.deepEqual(parsePostgresConfig('host=/run/postgresql', { PGSSLMODE: mode }).encryption, [false])
    t.deepEqual(parsePostgresConfig('user=a', { PGSSLMODE: mode, PGHOST: '/run/postgresql' }).encryption, [
      false,
    ])
    const named = parsePostgresConfig('host=db', { PGSSLMODE: mode, PGHOST: '/run/postgresql' })
    t.is(named.encryption[0] === false, ['disable', 'allow'].includes(mode))
  }
  t.throws(() => parsePostgresConfig('host=/run/postgresql', { PGSSLMODE: 'maybe' }))
})

/** The ways to encrypt, without the function that accepts any host. */
function shape({ encryption }: PostgresConfig): unknown {
  return encryption.map((each) => each && { ...each, checkServerIdentity: 'checkServerIdentity' in each })
}

const MALFORMED: Readonly<Record<string, RegExp>> = {
  '': /is empty/,
  '   ': /is empty/,
  'localhost:5432': /not a list of keyword=value/,
  shop: /not a list of keyword=value/,
  'user=a oops': /not a list of keyword=value/,
  "user='a": /not a list of keyword=value/,
  "user='a'b": /not a list of keyword=value/,
  '=a': /not a list of keyword=value/,
  [`mysql://user:${SECRET}@host/name`]: /no URL of PostgreSQL/,
  [`postgres://user:${SECRET}@host@host/name`]: /no URL of PostgreSQL/,
  [`postgres://user:${SECRET}/x@host/name`]: /no URL of PostgreSQL/,
  [`postgres://user:${SECRET}%zz@host/name`]: /% that is not followed/,
  [`user=a password=${SECRET} port=0`]: /whole number from 1 to 65535 as port/,
  [`postgres://user:${SECRET}@host:99999/name`]: /as port/,
  [`postgres://user:${SECRET}@host:x/name`]: /as port/,
  [`user=a password=${SECRET} connect_timeout=soon`]: /as connect_timeout/,
  [`user=a password=${SECRET} sslmode=maybe`]: /knows the sslmodes disable, allow, prefer, require/,
  [`user=a password=${SECRET} sslmode=verify-ca`]: /needs sslrootcert for sslmode=verify-ca/,
  [`user=a password=${SECRET} sslmode=verify-full sslrootcert=/nowhere`]: /as sslrootcert .*ENOENT/,
  [`user=a password=${SECRET} sslcert=/nowhere`]: /as sslcert .*ENOENT/,
  [`user=a password=x dbname=b sslfoo=x`]: /has an unknown word after dbname/,
  [`user=a password=my ${SECRET}=x`]: /has an unknown word after password/,
  [`postgres://user:12?${SECRET}=x@host/name`]: /no URL of PostgreSQL/,
  [`postgres://user:${SECRET}@host/name?pool=3`]: /has an unknown word after dbname/,
  [`postgres://user:${SECRET}@one,two/name`]: /takes one host/,
  [`user=a password=${SECRET} client_encoding=LATIN1`]: /client_encoding but UTF8/,
}

for (const [text, reason] of Object.entries(MALFORMED)) {
  test(`is refused with a clear error: ${JSON.stringify(text)}`, (t) => {
    const error = t.throws(() => PostgresStore.fromConfig(text), { name: 'SessionError' })
    t.like(error, { code: 'ERR_SESSION_OPTIONS' })
    t.regex(error.message, reason)
    t.regex(error.message, /postgres:\/\/user:password@localhost/, 'the text holds an example')
    t.notRegex(String(error.stack), new RegExp(SECRET))
  })
}

test('invalid options are refused by name', (t) => {
  const url = 'postgres://host/name'
  for (const [options, name] of [
    [{}, /either url or client/],
    [{ url, table: 'a;b' }, /table/],
    [{ url, table: 'a.b.c' }, /table/],
    [{ url, table: 'x'.repeat(60) }, /table/],
    [{ url, timeout: 0 }, /timeout/],
    [{ url, timeout: 1.5 }, /timeout/],
    [{ url, maxConnections: 0 }, /maxConnections/],
  ] as const) {
    const error = t.throws(() => new PostgresStore(options), { message: name })
    t.like(error, { code: 'ERR_SESSION_OPTIONS' })
  }
})
