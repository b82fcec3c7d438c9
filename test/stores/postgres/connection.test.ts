import { execFile } from 'node:child_process'
import { chmod, copyFile, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { Pool } from 'pg'
import { PostgresStore, type PostgresStoreOptions } from '../../../src/stores/postgres.ts'
import { selfSigned } from '../../servers/certificates.ts'
import { emptyDatabase, startPostgres } from '../../servers/postgres.ts'

const server = await startPostgres()
const database = await emptyDatabase(server)
test.after.always(async () => {
  await database.drop()
  await server.stop()
})

const { username: user, password, port } = new URL(database.url)
const secret = decodeURIComponent(password)
const at = `127.0.0.1:${port}/${database.name}`
const words = `host=127.0.0.1 port=${port} user=${user} password='${secret}' dbname=${database.name}`

/** What the server says about the one connection of a store: whether it is encrypted, and how it is called. */
async function connectionOf(
  options: PostgresStoreOptions,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const store = new PostgresStore({ maxConnections: 1, ...options })
  try {
    await store.open()
    const [row] = await database.query(
      `SELECT ssl, application_name, client_addr IS NULL AS file FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
       WHERE datname = $1 AND application_name <> 'kts-tests'`,
      [database.name],
    )
    return row
  } finally {
    await store.close()
    // The server notices a moment later, and the next look must not see this connection.
    await database.query(
      `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
       WHERE datname = $1 AND application_name <> 'kts-tests'`,
      [database.name],
    )
  }
}

async function reload(settings: string): Promise<void> {
  await database.query(settings)
  await database.query('SELECT pg_reload_conf()')
  for (;;) {
    // A backend reads the new settings before its next statement, so one that shows them proves that they are in force.
    const [row] = await database.query('SHOW ssl')
    if (row?.['ssl'] === (settings.endsWith('off') ? 'off' : 'on')) return
  }
}

for (const config of [
  `postgres://${user}:${password}@${at}`,
  `postgresql://${user}:${password}@${at}?sslmode=disable`,
  `postgres:///${database.name}?host=127.0.0.1&port=${port}&user=${user}&password=${password}`,
  words,
  `${words} sslmode=disable connect_timeout=3 application_name=shop search_path='public'`,
]) {
  test.serial(`opens a session: ${config.replaceAll(/\d{4,}|kts_\w+/g, '…')}`, async (t) => {
    const store = PostgresStore.fromConfig(config)
    const key = `key-${config.length}`
    t.like(await store.create(key, 'kts1 0123456789abcdef x', Date.now() + 60_000), {
      entry: { payload: 'kts1 0123456789abcdef x' },
    })
    t.is(await store.destroy(key), 'ok')
    await store.close()
  })
}

test.serial('host can be a socket file, which is never encrypted', async (t) => {
  const folder = path.dirname(server.certificate)
  for (const url of [
    `postgres:///${database.name}?host=${folder}&port=${port}&user=${user}&password=${password}`,
    `postgres://${user}:${password}@${encodeURIComponent(folder)}:${port}/${database.name}?sslmode=allow`,
    words.replace('127.0.0.1', folder),
  ]) {
    t.like(await connectionOf({ url }), { ssl: false, file: true })
  }
})

test.serial('the server sees the application name', async (t) => {
  t.like(await connectionOf({ url: words }), { application_name: 'koa-typed-session' })
  t.like(await connectionOf({ url: `${words} application_name=shop` }), { application_name: 'shop' })
})

test.serial('sslmode decides on encryption, and on how the certificate is checked', async (t) => {
  const root = `sslrootcert=${server.certificate}`
  for (const [mode, ssl] of [
    ['', true],
    ['sslmode=disable', false],
    ['sslmode=allow', false],
    ['sslmode=prefer', true],
    ['sslmode=require', true],
    [`sslmode=require ${root}`, true],
    [`sslmode=verify-ca ${root}`, true],
    [`sslmode=verify-full ${root} host=localhost`, true],
  ] as const) {
    t.like(await connectionOf({ url: `${words} ${mode}` }), { ssl }, mode)
  }
  t.like(await connectionOf({ url: `postgres://${user}:${password}@${at}?ssl=true` }), { ssl: true })
})

test.serial('a certificate that is not trusted is refused', async (t) => {
  const other = path.join(path.dirname(server.certificate), 'other.crt')
  const files = ['-keyout', '/dev/null', '-out', other]
  await promisify(execFile)('openssl', [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-subj',
    '/CN=x',
    ...files,
  ])
  for (const mode of [
    'sslmode=verify-full',
    'sslmode=verify-full sslrootcert=system',
    `sslmode=verify-full sslrootcert=${server.certificate}`,
    `sslmode=verify-full host=localhost sslrootcert=${other}`,
    `sslmode=verify-ca sslrootcert=${other}`,
    `sslmode=require sslrootcert=${other}`,
  ]) {
    const error = await t.throwsAsync(
      connectionOf({ url: `${words} ${mode}` }),
      { message: /certificate|altnames/ },
      mode,
    )
    t.like(error, { code: 'ERR_SESSION_STORE' })
  }
})

/** Runs `act` with these variables in the environment. */
async function withVariables(
  variables: Readonly<Record<string, string>>,
  act: () => Promise<unknown>,
): Promise<void> {
  Object.assign(process.env, variables)
  try {
    await act()
  } finally {
    for (const name of Object.keys(variables)) delete process.env[name]
  }
}

test.serial(
  'PGSSLMODE and PGSSLROOTCERT are honoured: another authority, another host and no TLS are refused',
  async (t) => {
    const { certificate: other } = await selfSigned(
      path.dirname(server.certificate),
      'DNS:localhost',
      'stranger',
    )
    const byName = words.replace('127.0.0.1', 'localhost')
    const urls = [byName, `postgres://${user}:${password}@localhost:${port}/${database.name}`]
    for (const url of urls) {
      const refused = async (
        variables: Readonly<Record<string, string>>,
        message: RegExp,
        from = url,
      ): Promise<void> =>
        withVariables(variables, async () => {
          t.like(await t.throwsAsync(connectionOf({ url: from }), { message }), { code: 'ERR_SESSION_STORE' })
        })
      const PGSSLMODE = 'verify-full'
      await refused({ PGSSLMODE }, /certificate/)
      await refused({ PGSSLMODE, PGSSLROOTCERT: other }, /certificate/)
      await refused({ PGSSLMODE, PGSSLROOTCERT: server.certificate }, /altnames/, words)
      await refused({ PGSSLMODE: 'verify-ca', PGSSLROOTCERT: other }, /certificate/)
      await refused({ PGSSLMODE: 'require', PGSSLROOTCERT: other }, /certificate/)
      for (const [variables, ssl] of [
        [{ PGSSLMODE, PGSSLROOTCERT: server.certificate }, true],
        [{ PGSSLMODE: 'verify-ca', PGSSLROOTCERT: server.certificate }, true],
        [{ PGSSLMODE: 'require' }, true],
        [{ PGSSLMODE: 'prefer' }, true],
        [{ PGSSLMODE: 'allow' }, false],
        [{ PGSSLMODE: 'disable' }, false],
      ] as const) {
        await withVariables(variables, async () =>
          t.like(await connectionOf({ url }), { ssl }, variables.PGSSLMODE),
        )
      }
      await reload('ALTER SYSTEM SET ssl = off')
      try {
        for (const mode of ['require', 'verify-ca', 'verify-full'])
          await refused({ PGSSLMODE: mode, PGSSLROOTCERT: server.certificate }, /does not support SSL/)
      } finally {
        await reload('ALTER SYSTEM SET ssl = on')
      }
    }
  },
)

test.serial('PGSSLCERT and PGSSLKEY are what the server asks for', async (t) => {
  const folder = path.dirname(server.certificate)
  const client = await selfSigned(folder, 'DNS:client', 'client')
  const file = path.join(server.data, 'pg_hba.conf')
  const before = await readFile(file, 'utf8')
  await copyFile(client.certificate, path.join(server.data, 'clients.crt'))
  await chmod(path.join(server.data, 'clients.crt'), 0o644)
  await writeFile(file, `hostssl ${database.name} ${user} all trust clientcert=verify-ca\n${before}`)
  await reload("ALTER SYSTEM SET ssl_ca_file = 'clients.crt'")
  try {
    const url = words.replace('127.0.0.1', 'localhost')
    await withVariables({ PGSSLMODE: 'require' }, async () =>
      t.throwsAsync(connectionOf({ url }), { message: /client certificate/ }),
    )
    const variables = { PGSSLMODE: 'require', PGSSLCERT: client.certificate, PGSSLKEY: client.key }
    await withVariables(variables, async () => t.like(await connectionOf({ url }), { ssl: true }))
  } finally {
    await writeFile(file, before)
    await reload('ALTER SYSTEM RESET ssl_ca_file')
  }
})

test.serial('if the server has no TLS, only sslmodes that require it are refused', async (t) => {
  await reload('ALTER SYSTEM SET ssl = off')
  try {
    for (const mode of ['', 'sslmode=prefer', 'sslmode=allow', 'sslmode=disable']) {
      t.like(await connectionOf({ url: `${words} ${mode}` }), { ssl: false }, mode)
    }
    for (const mode of ['require', 'verify-full', `verify-ca sslrootcert=${server.certificate}`]) {
      await t.throwsAsync(connectionOf({ url: `${words} sslmode=${mode}` }), {
        message: /does not support SSL/,
      })
    }
  } finally {
    await reload('ALTER SYSTEM SET ssl = on')
  }
})

test.serial('if the server requires TLS, only sslmode=disable is refused', async (t) => {
  const file = path.join(server.data, 'pg_hba.conf')
  const before = await readFile(file, 'utf8')
  await writeFile(file, `hostnossl ${database.name} all all reject\n${before}`)
  await database.query('SELECT pg_reload_conf()')
  try {
    for (;;) {
      // The reload is in force once an unencrypted connection is refused.
      const unencrypted = new PostgresStore({ url: `${words} sslmode=disable` })
      const [opening] = await Promise.allSettled([unencrypted.open()])
      await unencrypted.close()
      if (opening.status === 'fulfilled') continue
      t.regex(String(opening.reason?.message), /pg_hba\.conf/)
      break
    }
    for (const mode of ['', 'sslmode=allow', 'sslmode=prefer', 'sslmode=require']) {
      const store = new PostgresStore({ url: `${words} ${mode}` })
      await t.notThrowsAsync(store.open(), mode)
      await store.close()
    }
  } finally {
    await writeFile(file, before)
    await database.query('SELECT pg_reload_conf()')
  }
})

test.serial("the application's pool is used, and left open and unchanged", async (t) => {
  const client = new Pool({ connectionString: database.url, max: 3 })
  const [one, other] = [new PostgresStore({ client }), new PostgresStore({ client, prepare: true })]
  await one.create('handed', 'kts1 0123456789abcdef x', Date.now() + 60_000)
  t.is((await other.read('handed'))?.payload, 'kts1 0123456789abcdef x')
  t.is(client.waitingCount, 0)
  t.true(client.totalCount <= 3)
  await Promise.all([one.close(), one.close()])
  t.is(await other.destroy('handed'), 'ok')
  await other.close()
  t.is(client.listenerCount('error'), 0)
  t.false(client.ended)
  t.deepEqual((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }])
  await client.end()
})

test.serial('the type parsers of the application have no effect', async (t) => {
  const types = { getTypeParser: () => (): string => 'nonsense' }
  const client = new Pool({ connectionString: database.url, types })
  const store = new PostgresStore({ client })
  await store.create('typed', 'kts1 0123456789abcdef x', 4_102_444_800_123)
  const read = await store.read('typed')
  t.is(read?.payload, 'kts1 0123456789abcdef x')
  t.true(Math.abs((read?.expiresAt ?? 0) - 4_102_444_800_123) < 60_000)
  t.is(await store.destroy('typed'), 'ok')
  await client.end()
})
