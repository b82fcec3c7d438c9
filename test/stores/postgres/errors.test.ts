import { execFile } from 'node:child_process'
import path from 'node:path'
import { inspect, promisify } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import { Pool } from 'pg'
import type { SessionError } from '../../../src/errors.ts'
import { PostgresStore } from '../../../src/stores/postgres.ts'
import { emptyDatabase, startPostgres } from '../../servers/postgres.ts'
import { startProxy } from '../../servers/proxy.ts'
import { freePort } from '../../servers/server.ts'

const server = await startPostgres()
const database = await emptyDatabase(server)
const proxy = await startProxy({ port: server.port })
test.after.always(async () => {
  await proxy.stop()
  await database.drop()
  await server.stop()
})

const PAYLOAD = 'kts1 0123456789abcdef body'
const { password } = new URL(database.url)
const HOUR = 3_600_000

function soon(): number {
  return Date.now() + HOUR
}

/** The database with another address or user. */
function by(change: (url: URL) => void, from: string = database.url): string {
  const url = new URL(from)
  change(url)
  return url.href
}

const throughProxy = by((url) => (url.port = String(proxy.port)))

async function fails(
  t: ExecutionContext,
  doing: Promise<unknown>,
  message: RegExp,
): Promise<SessionError | undefined> {
  const error = await t.throwsAsync<SessionError>(doing, { name: 'SessionError', message })
  t.is(error?.code, 'ERR_SESSION_STORE')
  const shown = inspect(error, { depth: 10, showHidden: true })
  t.false(shown.includes(PAYLOAD), 'a payload')
  t.false(shown.includes(decodeURIComponent(password)), 'a password')
  return error
}

test.serial('open reports what is wrong with an address', async (t) => {
  const nobody = String(await freePort())
  for (const [url, message] of [
    [by((wrong) => (wrong.port = nobody)), /open failed: connect ECONNREFUSED 127\.0\.0\.1/],
    [by((wrong) => (wrong.hostname = 'no.such.host.invalid')), /ENOTFOUND|EAI_AGAIN/],
    [
      by((wrong) => (wrong.password = 'wr0ng')),
      /password authentication failed for user "postgres" \(28P01\)/,
    ],
    [by((wrong) => (wrong.username = 'somebody')), /authentication failed for user "somebody" \(28P01\)/],
    [by((wrong) => (wrong.pathname = '/nowhere')), /database "nowhere" does not exist \(3D000\)/],
  ] as const) {
    const store = new PostgresStore({ url })
    const error = await fails(t, store.open(), message)
    t.false(inspect(error).includes('wr0ng'))
    await store.close()
  }
})

test.serial(
  'a failed attempt to connect is not remembered, and is shared by all who wait for it',
  async (t) => {
    const store = new PostgresStore({ url: throughProxy })
    proxy.cut()
    const before = proxy.connections
    const verbs = Array.from({ length: 20 }, async (_, at) =>
      fails(t, store.read(`key-${at}`), /open failed/),
    )
    await Promise.all(verbs)
    // One connection for each way to encrypt that was tried, and not one for each verb.
    t.true(proxy.connections - before <= 4, `${proxy.connections - before} connections`)
    proxy.mend()
    t.is(await store.read('key'), undefined)
    await store.close()
  },
)

test.serial(
  'F2: a server that is killed and started again is found again, with all that was stored',
  async (t) => {
    const store = new PostgresStore({ url: database.url })
    await store.create('lasting', PAYLOAD, soon())
    await Promise.all(Array.from({ length: 20 }, async () => store.read('lasting')))
    await server.crash()
    await fails(t, store.read('lasting'), /read failed/)
    await fails(t, store.create('never', PAYLOAD, soon()), /create failed/)
    await server.restart()
    t.is((await store.read('lasting'))?.payload, PAYLOAD)
    t.is(await store.read('never'), undefined)
    t.is(await store.destroy('lasting'), 'ok')
    await store.close()
  },
)

test.serial(
  'F3: if the server never answers, every verb rejects in time, and succeeds afterwards',
  async (t) => {
    const store = new PostgresStore({ url: database.url, timeout: 300, maxConnections: 2 })
    const { entry } = await created(store, 'stalled')
    await server.stall()
    const calls = [
      ...Array.from({ length: 20 }, async () => store.read('stalled')),
      store.create('other', PAYLOAD, soon()),
      store.replace('stalled', PAYLOAD, soon(), entry),
      store.touch('stalled', soon() + HOUR),
      store.destroy('stalled', { ...entry, payload: 'kts1 another__________' }),
      store.count(),
      store.sweep(10),
    ]
    await Promise.all(calls.map(async (call) => fails(t, call, /no answer within 300 ms|timeout/)))
    const late = new PostgresStore({ url: database.url, timeout: 300 })
    await fails(t, late.read('stalled'), /no answer within 300 ms|timeout/)
    await late.close()
    await server.resume()
    t.is((await store.read('stalled'))?.payload, PAYLOAD)
    await store.destroy('stalled')
    await store.destroy('other')
    await store.close()
  },
)

test.serial('F3: an answer that comes too late is not taken for the answer to another verb', async (t) => {
  const store = new PostgresStore({ url: throughProxy, timeout: 400, maxConnections: 1 })
  await created(store, 'slow')
  await created(store, 'next', 'kts1 fedcba9876543210 other')
  proxy.stall()
  await fails(t, store.read('slow'), /no answer within 400 ms/)
  proxy.mend()
  t.is((await store.read('next'))?.payload, 'kts1 fedcba9876543210 other')
  t.is(await store.destroy('slow'), 'ok')
  t.is(await store.destroy('next'), 'ok')
  await store.close()
})

test.serial('behind a locked table neither calls nor server processes pile up', async (t) => {
  const store = new PostgresStore({ url: database.url, timeout: 300, maxConnections: 3 })
  await created(store, 'locked')
  const other = new Pool({ connectionString: database.url, max: 1 })
  await other.query('BEGIN')
  await other.query('LOCK TABLE session')
  for (let round = 0; round < 4; round += 1) {
    const calls = Array.from({ length: 10 }, async () => store.touch('locked', soon()))
    await Promise.all(calls.map(async (call) => fails(t, call, /no answer within|timeout/)))
  }
  const waiting = await database.query(
    `SELECT pid FROM pg_stat_activity WHERE datname = $1 AND application_name = 'koa-typed-session'`,
    [database.name],
  )
  t.true(waiting.length <= 6, `${waiting.length} connections of a store that may have 3`)
  await other.query('COMMIT')
  await other.end()
  t.is(await store.destroy('locked'), 'ok')
  await store.close()
})

test.serial("F6: killed idle connections cause no errors, in the application's pool neither", async (t) => {
  const client = new Pool({ connectionString: database.url, max: 4 })
  const stores = [new PostgresStore({ url: database.url }), new PostgresStore({ client })]
  for (const store of stores) {
    await created(store, 'idle')
    await Promise.all(Array.from({ length: 8 }, async () => store.read('idle')))
    await database.forbid()
    await database.allow()
    t.is((await store.read('idle'))?.payload, PAYLOAD)
    t.is(await store.destroy('idle'), 'ok')
    await store.close()
  }
  await client.end()
})

test.serial(
  'F5: a read, a touch and a count whose connection dies are repeated; a write rejects',
  async (t) => {
    const store = new PostgresStore({ url: throughProxy, maxConnections: 1 })
    const { entry } = await created(store, 'cut')
    proxy.dropReply()
    t.is((await store.read('cut'))?.payload, PAYLOAD)
    proxy.dropReply()
    t.is(await store.touch('cut', soon() + HOUR), 'ok')
    proxy.dropReply()
    t.is(await store.count(), 1)
    proxy.dropReply()
    const next = 'kts1 fedcba9876543210 next'
    await fails(t, store.replace('cut', next, soon(), entry), /replace failed/)
    t.is((await store.read('cut'))?.payload, next, 'the version tells that the write was applied')
    proxy.dropReply()
    await fails(t, store.destroy('cut', { payload: next, expiresAt: 0 }), /destroy failed/)
    t.is(await store.read('cut'), undefined)
    await created(store, 'cut')
    proxy.dropReply()
    t.is(await store.destroy('cut'), 'gone', 'it is; who did it has been forgotten')
    await store.close()
  },
)

test.serial('F8: with serializable transactions, rolled-back statements are repeated', async (t) => {
  const url = by((strict) =>
    strict.searchParams.set('options', '-c default_transaction_isolation=serializable'),
  )
  const store = new PostgresStore({ url })
  const { entry } = await created(store, 'strict')
  const rivals = Array.from({ length: 20 }, (_, at) => `kts1 rival-${String(at).padStart(10, '0')} x`)
  const outcomes = await Promise.all(
    rivals.map(async (rival) => store.replace('strict', rival, soon(), entry)),
  )
  t.is(outcomes.filter((outcome) => typeof outcome === 'object').length, 1)
  t.is(outcomes.filter((outcome) => outcome === 'conflict').length, 19)
  t.is(await store.destroy('strict'), 'ok')
  await store.close()
})

test.serial('F8: from a read-only server sessions are read, and writes report it', async (t) => {
  const store = new PostgresStore({ url: database.url })
  await created(store, 'readonly')
  await store.close()
  const url = by((strict) => strict.searchParams.set('options', '-c default_transaction_read_only=on'))
  const reader = new PostgresStore({ url })
  t.is((await reader.read('readonly'))?.payload, PAYLOAD)
  await fails(
    t,
    reader.create('other', PAYLOAD, soon()),
    /create failed: .*read-only.*\(25006\); this server accepts no writes/,
  )
  await fails(t, reader.touch('readonly', soon() + HOUR), /25006/)
  await reader.close()
})

test.serial('F8: a verb that finds no free connection waits no longer than the deadline', async (t) => {
  const client = new Pool({ connectionString: database.url, max: 1 })
  const store = new PostgresStore({ client, timeout: 300 })
  await created(store, 'crowded')
  const taken = await client.connect()
  await fails(t, store.read('crowded'), /read failed: no answer within 300 ms/)
  taken.release()
  t.is((await store.read('crowded'))?.payload, PAYLOAD)
  t.is(await store.destroy('crowded'), 'ok')
  await store.close()
  t.is(client.idleCount, 1, 'a connection that came too late went back')
  await client.end()
})

test.serial(
  'F8: with 10,000 waiting calls the next one is refused at once, and late connections go back to the pool',
  async (t) => {
    const client = new Pool({ connectionString: database.url, max: 1 })
    const store = new PostgresStore({ client, timeout: 1_000 })
    await store.open()
    const taken = await client.connect()
    const crowd = Array.from({ length: 10_000 }, async () => store.read('crowded'))
    const outcomes = Promise.allSettled(crowd)
    await fails(t, store.read('crowded'), /read failed: 10000 calls wait for a connection already/)
    for (const { status } of await outcomes) t.is(status, 'rejected')
    taken.release()
    await new Promise(setImmediate) // the pool serves those who gave up, and gets its connection back from each
    t.is(await store.read('crowded'), undefined)
    t.is(client.waitingCount, 0)
    await store.close()
    await client.end()
  },
)

test.serial('F8: too many connections are reported', async (t) => {
  await database.query(`CREATE ROLE crowd LOGIN PASSWORD 'crowd' CONNECTION LIMIT 0`)
  const url = by((crowded) => ([crowded.username, crowded.password] = ['crowd', 'crowd']))
  const store = new PostgresStore({ url })
  await fails(t, store.open(), /too many connections .*\(53300\)/)
  await store.close()
})

test.serial('the violation of a constraint is reported only by its code', async (t) => {
  const store = new PostgresStore({ url: database.url, table: 'picky' })
  await store.open()
  await database.query(`ALTER TABLE picky ADD CHECK (session_data NOT LIKE '%body%')`)
  await database.query(
    `CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE '% and %', NEW.session_key, NEW.session_data; END $$`,
  )
  const error = await fails(
    t,
    store.create('k'.repeat(64), PAYLOAD, soon()),
    /refused the statement \(23514\)/,
  )
  t.false(inspect(error).includes('kkkk'))
  await database.query('CREATE TRIGGER tell BEFORE INSERT ON picky FOR EACH ROW EXECUTE FUNCTION tell()')
  const told = await fails(
    t,
    store.create('k'.repeat(64), PAYLOAD, soon()),
    /refused the statement \(P0001\)/,
  )
  t.false(inspect(told).includes('kkkk'))
  await store.close()
})

test.serial('without the driver the error names the command that installs it', async (t) => {
  const script = path.join(import.meta.dirname, 'without-driver.ts')
  const { stdout } = await promisify(execFile)(process.execPath, ['--import=tsx', script])
  t.is(stdout, 'ERR_SESSION_OPTIONS the package pg is missing: npm install pg\n')
})

test.serial('after close every verb is refused, and verbs under way finish', async (t) => {
  const store = new PostgresStore({ url: database.url })
  await created(store, 'closing')
  const underWay = Array.from({ length: 30 }, async () => store.read('closing'))
  await Promise.all([store.close(), store.close()])
  for (const entry of await Promise.all(underWay)) t.is(entry?.payload, PAYLOAD)
  for (const call of [store.open(), store.count(), store.sweep(1)]) await fails(t, call, /after close/)
})

async function created(store: PostgresStore, key: string, payload: string = PAYLOAD) {
  await store.open() // so that a short timeout need not cover the first connection
  const written = await store.create(key, payload, soon())
  if (written === 'exists') throw new Error('a key is taken')
  return written
}
