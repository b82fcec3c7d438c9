// What the parameters of a config string do, on a real server.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import path from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { Client } from 'pg'
import { PostgresStore, type PostgresStoreOptions } from '../../../src/stores/postgres.ts'
import { emptyDatabase, startPostgres } from '../../servers/postgres.ts'
import { temporaryFolder } from '../../support/cleanup.ts'

const server = await startPostgres()
const database = await emptyDatabase(server)
test.after.always(async () => {
  await database.drop().catch(() => undefined)
  await server.stop()
})

const { username: user, password, port } = new URL(database.url)
const secret = decodeURIComponent(password)
const words = `host=127.0.0.1 port=${port} user=${user} password='${secret}' dbname=${database.name}`
const at = `postgres://${user}:${password}@localhost:${port}/${database.name}`
const PAYLOAD = 'kts1 0123456789abcdef x'

/** Opens a store, and says how the server sees its connections. */
async function opened(
  url: string,
  options: PostgresStoreOptions = {},
  body: (store: PostgresStore) => Promise<void> = async () => undefined,
): Promise<Readonly<Record<string, unknown>>> {
  const store = new PostgresStore({ url, ...options })
  try {
    await store.open()
    await body(store)
    const [row] = await database.query(
      `SELECT ssl, application_name FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
       WHERE datname = $1 AND application_name <> 'kts-tests'`,
      [database.name],
    )
    return { ...row }
  } finally {
    await store.close()
    await database.query(
      `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
       WHERE datname = $1 AND application_name <> 'kts-tests'`,
      [database.name],
    )
  }
}

async function refused(
  t: ExecutionContext,
  url: string,
  message: RegExp,
  answered: boolean = true,
): Promise<void> {
  const error = await t.throwsAsync(opened(url), { message, code: 'ERR_SESSION_STORE' }, url.slice(-60))
  t.like(error, { answered }, url.slice(-60))
  t.false(error.message.includes(secret))
}

/** Lets users in by this method, for the time of `act`. */
async function withMethod(method: string, act: () => Promise<void>): Promise<void> {
  const file = path.join(server.data, 'pg_hba.conf')
  const before = await readFile(file, 'utf8')
  const rule = `host ${database.name} ${user} all ${method}\n`
  await writeFile(file, rule + before)
  await inForce(method)
  try {
    await act()
  } finally {
    await writeFile(file, before)
    await inForce(undefined)
  }
}

/** Waits until the server has read its rules: until the first one is for this method. */
async function inForce(method: string | undefined): Promise<void> {
  await database.query('SELECT pg_reload_conf()')
  const asked = async (): Promise<string> => {
    const client = new Client({ connectionString: database.url })
    client.on('error', () => undefined)
    let said = 'trust'
    const connection: { on: (event: string, listener: () => void) => void } = Reflect.get(
      client,
      'connection',
    )
    connection.on('authenticationCleartextPassword', () => (said = 'password'))
    connection.on('authenticationMD5Password', () => (said = 'md5'))
    connection.on('authenticationSASL', () => (said = 'scram-sha-256'))
    await client.connect()
    await client.end()
    return said
  }
  while ((await asked()) !== (method ?? 'scram-sha-256')) continue
}

test.serial('a string as Neon has it opens a session, bound to the TLS connection', async (t) => {
  t.like(await opened(`${at}?sslmode=require&channel_binding=require`), { ssl: true })
  t.like(await opened(`${at}?channel_binding=require`), { ssl: true })
  t.like(await opened(`${at}?sslmode=require&channel_binding=prefer`), { ssl: true })
  t.like(await opened(`${at}?sslmode=disable&channel_binding=prefer`), { ssl: false })
  t.like(await opened(`${at}?sslmode=require&channel_binding=disable`), { ssl: true })
})

test.serial('channel_binding=require refuses a server that asks for something else', async (t) => {
  for (const method of ['trust', 'password'])
    await withMethod(method, async () => {
      t.like(await opened(`${at}?sslmode=require&channel_binding=prefer`), { ssl: true }, method)
      await refused(t, `${at}?sslmode=require&channel_binding=require`, /does not offer channel binding/)
    })
})

test.serial('require_auth refuses methods that it does not allow', async (t) => {
  t.like(await opened(`${at}?require_auth=scram-sha-256`), { ssl: true })
  t.like(await opened(`${at}?require_auth=!password,!none`), { ssl: true })
  await refused(t, `${at}?require_auth=md5`, /asks for the authentication scram-sha-256, and require_auth/)
  await withMethod('password', async () => {
    t.like(await opened(`${at}?require_auth=password`), { ssl: true })
    await refused(t, `${at}?require_auth=scram-sha-256`, /asks for the authentication password/)
  })
  await withMethod('trust', async () => {
    t.like(await opened(`${at}?require_auth=none`), { ssl: true })
    await refused(t, `${at}?require_auth=scram-sha-256`, /asks for the authentication none/)
  })
})

test.serial(
  'a server that asks for the password itself is not told it, where that is not allowed',
  async (t) => {
    let received = ''
    const sockets = new Set<Socket>()
    const thief = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('data', (data) => (received += data.toString('latin1')))
      socket.once('data', () => socket.write(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3])))
    }).listen(0, '127.0.0.1')
    await once(thief, 'listening')
    const address = Object(thief.address())
    const url = `postgres://user:pikeperch@127.0.0.1:${address.port}/shop?sslmode=disable`
    await refused(t, `${url}&require_auth=scram-sha-256`, /asks for the authentication password/)
    while ([...sockets].some((socket) => !socket.destroyed)) await new Promise(setImmediate)
    t.true(received.includes('user'))
    t.false(received.includes('pikeperch'))
    thief.close()
  },
)

test.serial(
  'hostaddr is the address connected to, and the certificate is checked for the host',
  async (t) => {
    const there = words.replace('127.0.0.1', 'nowhere.invalid')
    const root = `sslmode=verify-full sslrootcert=${server.certificate}`
    t.like(await opened(`${there} hostaddr=127.0.0.1 sslmode=require`), { ssl: true })
    t.like(await opened(`${there} hostaddr=127.0.0.1 host=localhost ${root}`), { ssl: true })
    await refused(t, `${there} hostaddr=127.0.0.1 ${root}`, /altnames|certificate/, false)
    t.like(await opened(`${at}?hostaddr=127.0.0.1&sslmode=disable`), { ssl: false })
  },
)

test.serial('sslmode=no-verify is encrypted, whatever the certificate', async (t) => {
  t.like(await opened(`${at}?sslmode=no-verify`), { ssl: true })
  t.like(await opened(`${at}?ssl=no-verify`), { ssl: true })
  t.like(await opened(`${at}?ssl=0`), { ssl: false })
})

test.serial('the passfile has the password', async (t) => {
  const file = path.join(await temporaryFolder('kts-passfile-'), 'pgpass')
  const line = `127.0.0.1:${port}:*:${user}:${secret.replaceAll(/[\\:]/g, '\\$&')}\n`
  await writeFile(file, line, { mode: 0o600 })
  const without = words.replace(/password='[^']*'/, '')
  t.like(await opened(`${without} passfile=${file}`), { ssl: true })
  await writeFile(file, line.replace(user, 'another'))
  await refused(
    t,
    `${without} passfile=${file}`,
    /the passfile has no line for this host, port, database and user/,
  )
  await rm(file)
  const store = new PostgresStore({ url: `${words} passfile=${file}` })
  await store.close()
  t.pass('the file does not matter where there is a password')
})

/** What the system has to do next for each connection of this process to the server: `02` is a probe, in so many hundredths of a second. */
function timers(): readonly (readonly [kind: string, hundredths: number])[] {
  const to = `:${Number(port).toString(16).toUpperCase().padStart(4, '0')}`
  const rows = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) => readFileSync(file, 'utf8').split('\n'))
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter(([, , remote = '', state]) => remote.endsWith(to) && state === '01')
    .map(([, , , , , timer = '']) => {
      const [kind = '', left = ''] = timer.split(':')
      return [kind, Number.parseInt(left, 16)] as const
    })
}

test.serial('a connection that fails for want of a password is closed', async (t) => {
  for (const given of ['', 'sslmode=disable'])
    await refused(t, `${words.replace(/password='[^']*'/, '')} ${given}`, /password/, false)
  while (timers().some(([kind]) => kind === '02')) await new Promise(setImmediate)
  t.pass()
})

test.serial('keepalives are those of the system socket', async (t) => {
  const probes = async (query: string): Promise<readonly number[]> => {
    let found: readonly number[] = []
    await opened(`${at}?sslmode=disable&hostaddr=127.0.0.1&${query}`, {}, async (store) => {
      await store.read('key')
      found = timers().flatMap(([kind, left]) => (kind === '02' ? [left / 100] : []))
    })
    return found
  }
  // The connections of the tests themselves have none.
  t.deepEqual(await probes('keepalives=0'), [])
  const [idle = 0] = await probes('keepalives_idle=700')
  t.true(idle > 500 && idle <= 700, String(idle))
  const [usual = 0] = await probes('')
  t.true(usual > 10 && usual <= 30, String(usual))
})

test.serial('schema is that of the table, and connection_limit that of the pool', async (t) => {
  await database.query('CREATE SCHEMA app')
  await opened(`${at}?schema=app&connection_limit=2`, {}, async (store) => {
    t.is(store.namespace, 'app.session')
    await Promise.all(Array.from({ length: 20 }, async () => store.read('key')))
    const [row] = await database.query(
      `SELECT count(*)::int FROM pg_stat_activity WHERE datname = $1 AND application_name <> 'kts-tests'`,
      [database.name],
    )
    t.true(Number(row?.['count']) <= 2)
  })
  t.deepEqual(
    await database.query(
      "SELECT schemaname FROM pg_tables WHERE tablename = 'session' AND schemaname = 'app'",
    ),
    [{ schemaname: 'app' }],
  )
})

test.serial('statement_timeout is when the server gives up', async (t) => {
  await opened(`${at}?statement_timeout=150`, { timeout: 20_000 }, async (store) => {
    await store.create('locked', PAYLOAD, Date.now() + 60_000)
    const holder = new Client({ connectionString: database.url, application_name: 'kts-tests' })
    await holder.connect()
    await holder.query('BEGIN')
    await holder.query("SELECT * FROM session WHERE session_key = 'locked' FOR UPDATE")
    await t.throwsAsync(store.touch('locked', Date.now() + 90_000), { message: /57014/ })
    await holder.end()
  })
})

test.serial('ssl_min_protocol_version is the oldest TLS that is accepted', async (t) => {
  await database.query("ALTER SYSTEM SET ssl_max_protocol_version = 'TLSv1.2'")
  await database.query('SELECT pg_reload_conf()')
  try {
    for (;;) {
      // The reload is in force once a newer version is not spoken any more.
      const [row] = await database.query('SHOW ssl_max_protocol_version')
      if (row?.['ssl_max_protocol_version'] === 'TLSv1.2') break
    }
    t.like(await opened(`${at}?sslmode=require&ssl_min_protocol_version=TLSv1.2`), { ssl: true })
    await refused(
      t,
      `${at}?sslmode=require&ssl_min_protocol_version=TLSv1.3`,
      /protocol version|SSL|TLS/i,
      false,
    )
  } finally {
    await database.query('ALTER SYSTEM RESET ssl_max_protocol_version')
    await database.query('SELECT pg_reload_conf()')
  }
})

test.serial('target_session_attrs=read-write refuses a server that is read-only by default', async (t) => {
  await database.query(`ALTER DATABASE ${database.name} SET default_transaction_read_only = on`)
  try {
    for (const wanted of ['any', 'primary', 'prefer-standby']) {
      const store = new PostgresStore({ url: `${at}?sslmode=require&target_session_attrs=${wanted}` })
      t.is(await store.read('absent'), undefined, wanted) // it serves reads, and `open` would ask for more
      await store.close()
    }
    await refused(
      t,
      `${at}?target_session_attrs=read-write`,
      /the server is read-only, and target_session_attrs=read-write asks for another one/,
    )
  } finally {
    await database.query(`ALTER DATABASE ${database.name} RESET default_transaction_read_only`)
  }
  const store = new PostgresStore({ url: `${at}?target_session_attrs=read-write` })
  t.like(await store.create('written', PAYLOAD, Date.now() + 60_000), { entry: { payload: PAYLOAD } })
  await store.close()
})

// The last one, since the server stays what it becomes here.
test.serial('target_session_attrs refuses a standby', async (t) => {
  await server.crash()
  await writeFile(path.join(server.data, 'standby.signal'), '', { mode: 0o644 })
  await server.restart()
  for (const wanted of ['read-write', 'primary'])
    await refused(
      t,
      `${at}?target_session_attrs=${wanted}`,
      new RegExp(`is a standby, and .*=${wanted} asks`),
    )
  const store = new PostgresStore({ url: `${at}?sslmode=require` })
  t.like(await store.read('written'), { payload: PAYLOAD }, 'without it a standby serves reads')
  await store.close()
})
