import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import test from 'ava'
import { parsePostgresConfig } from '../../../src/stores/postgres/config.ts'
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
    { cert: Buffer.from('in cert'), key: Buffer.from('in key'), ca: Buffer.from('in ca'), passphrase: 'pw' },
  ])
})

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
