import test from 'ava'
import { createConnection, createPool, type Pool } from 'mysql2/promise'
import { MysqlStore } from '../../../src/stores/mysql.ts'
import type { Entry } from '../../../src/store.ts'
import { freshDatabase, privateMariadb } from '../../servers/mariadb.ts'
import { startProxy } from '../../servers/proxy.ts'
import { key, payload, soon } from './harness.ts'

const server = await privateMariadb()
const database = await freshDatabase(server)
const proxy = await startProxy({ port: server.port })
const through = new URL(database.url)
through.port = String(proxy.port)
const url = through.href
test.after.always(async () => {
  await database.drop()
  await proxy.stop()
  await server.stop()
})

/** A store, one entry in it, and a pool that has a connection to offer. */
async function begin(options: { timeout?: number; poolSize?: number; client?: Pool } = {}): Promise<{
  store: MysqlStore
  name: string
  entry: Entry
}> {
  const store = new MysqlStore(
    options.client === undefined ? { url, ...options } : { client: options.client },
  )
  const name = key()
  const written = await store.create(name, payload(), soon())
  if (written === 'exists') throw new Error('the key is a fresh one')
  return { store, name, entry: written.entry }
}

test.serial('F3: if the server does not answer, every verb rejects within the deadline', async (t) => {
  const { store, name, entry } = await begin({ timeout: 1_000 })
  server.freeze()
  try {
    const calls = [
      store.read(name),
      store.create(key(), payload(), soon()),
      store.replace(name, payload(), soon(), entry),
      store.touch(name, soon()),
      store.destroy(key()),
      store.sweep(10),
      store.count(),
    ]
    for (const call of calls) {
      await t.throwsAsync(call, { code: 'ERR_SESSION_STORE', message: /failed: no answer within \d+ ms$/ })
    }
    const late = new MysqlStore({ url: database.url, timeout: 1_000 })
    await t.throwsAsync(late.open(), { code: 'ERR_SESSION_STORE' })
    await late.close()
    const idle = new MysqlStore({ url, timeout: 1_000 })
    await t.throwsAsync(idle.read(name), { code: 'ERR_SESSION_STORE' })
    await idle.close()
  } finally {
    server.thaw()
  }
  t.truthy(await store.read(name), 'and it is served again when the server is')
  await store.close()
})

test.serial("in the application's pool a connection that does not answer is replaced", async (t) => {
  const client = createPool({ uri: url, connectionLimit: 1 })
  const store = new MysqlStore({ client, timeout: 1_000 })
  const name = key()
  await store.create(name, payload(), soon())
  server.freeze()
  try {
    await t.throwsAsync(store.read(name), { message: /^mysql: read failed: no answer within \d+ ms$/ })
  } finally {
    server.thaw()
  }
  t.truthy(await store.read(name))
  await client.end()
})

test.serial('close does not wait for a server that does not answer', async (t) => {
  const { store, name } = await begin({ timeout: 1_000 })
  server.freeze()
  try {
    const reading = t.throwsAsync(store.read(name))
    await store.close()
    await reading
  } finally {
    server.thaw()
  }
})

test.serial('F3: while the server is stalled, the number of waiting calls is bounded', async (t) => {
  const { store, name } = await begin({ timeout: 1_500, poolSize: 2 })
  server.freeze()
  try {
    const reasons = await Promise.all(
      Array.from({ length: 1_010 }, async () =>
        store.read(name).then(String, (error: Error) => error.message),
      ),
    )
    const refused = reasons.filter((reason) => reason.includes('1000 calls wait for a connection already'))
    t.true(refused.length > 0 && refused.length <= 10, `${refused.length} were refused at once`)
    t.is(reasons.filter((reason) => reason.includes('no answer within')).length, 1_010 - refused.length)
  } finally {
    server.thaw()
  }
  await store.close()
})

test.serial('F2, F9: after a killed server restarts, all acknowledged writes are there', async (t) => {
  const { store, name, entry } = await begin()
  await server.kill()
  await t.throwsAsync(store.read(name), { code: 'ERR_SESSION_STORE' })
  await t.throwsAsync(store.replace(name, payload(), soon(), entry), { code: 'ERR_SESSION_STORE' })
  await server.restart()
  t.is((await store.read(name))?.payload, entry.payload)
  t.is(typeof (await store.replace(name, payload(), soon(), entry)), 'object')
  await store.close()
})

test.serial('F6: idle connections that were cut cause no errors', async (t) => {
  const { store, name, entry } = await begin()
  await Promise.all(Array.from({ length: 10 }, async () => store.read(name)))
  proxy.reset()
  t.truthy(await store.read(name))
  proxy.reset()
  t.is(await store.touch(name, soon()), 'ok')
  await server.kill()
  await server.restart()
  t.is((await store.read(name))?.payload, entry.payload)
  await store.close()
})

test.serial('F5: a read whose answer is lost is repeated, once', async (t) => {
  const { store, name, entry } = await begin()
  proxy.dropReply()
  t.is((await store.read(name))?.payload, entry.payload)
  proxy.dropReply()
  t.is(await store.touch(name, soon()), 'ok')
  await store.close()
})

test.serial(
  'F5: a write whose answer is lost rejects, and the version tells what became of it',
  async (t) => {
    const { store, name, entry } = await begin()
    // So that the statements are prepared, and the reply that is lost is the one to their execution.
    await store.replace(key(), payload(), soon(), entry)
    await store.destroy(key(), entry)
    const next = payload()
    proxy.dropReply()
    await t.throwsAsync(store.replace(name, next, soon(), entry), {
      message: /^mysql: replace failed: the connection was lost \(/,
    })
    t.is((await store.read(name))?.payload, next)
    t.is(await store.replace(name, payload(), soon(), entry), 'conflict')
    await store.close()
  },
)

test.serial('an answer in another protocol is an error, not a crash', async (t) => {
  const { createServer } = await import('node:net')
  const liar = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => liar.once('listening', resolve))
  const address = liar.address()
  const port = typeof address === 'object' ? address?.port : undefined
  const store = new MysqlStore({ url: `mysql://bob@127.0.0.1:${port}/kts`, timeout: 500 })
  await t.throwsAsync(store.open(), { code: 'ERR_SESSION_STORE', message: /^mysql: open failed: / })
  await store.close()
  await new Promise((resolve) => liar.close(resolve))
})

test.serial('F9: a lock that is held for longer than the server waits is waited for again', async (t) => {
  const client = createPool({ uri: url, connectionLimit: 1 })
  const { store, name, entry } = await begin({ client })
  await client.query('SET SESSION innodb_lock_wait_timeout = 0') // gives up at once
  const holder = await createConnection(database.url)
  await holder.query('START TRANSACTION')
  await holder.query('SELECT * FROM session WHERE session_key = ? FOR UPDATE', [name])
  await t.throwsAsync(store.replace(name, payload(), soon(), entry), {
    message: 'mysql: replace failed: another transaction holds a lock on the row (ER_LOCK_WAIT_TIMEOUT)',
  })
  const before = await counted('Com_stmt_execute')
  const next = payload()
  const replacing = store.replace(name, next, soon(), entry)
  while ((await counted('Com_stmt_execute')) === before) await new Promise(setImmediate)
  await holder.query('ROLLBACK')
  t.is(typeof (await replacing), 'object')
  t.is((await store.read(name))?.payload, next)
  await holder.end()
  await client.end()
})

test.serial('F9: the statement that is rolled back in a deadlock is repeated', async (t) => {
  const { store, name, entry } = await begin()
  const deadlocks = await counted('Innodb_deadlocks')
  // The store waits for a row that the other one holds, and the other one then for a table that the store's part holds.
  await database.sql('CREATE TABLE trail (id int PRIMARY KEY) ENGINE=InnoDB')
  await database.sql('INSERT INTO trail VALUES (1)')
  await database.sql(
    'CREATE TRIGGER follow BEFORE UPDATE ON session FOR EACH ROW UPDATE trail SET id = id WHERE id = 1',
  )
  const rival = await createConnection(database.url)
  // More rows than the store has, so that the server chooses the store for the victim.
  await rival.query('CREATE TABLE weight (id int PRIMARY KEY) ENGINE=InnoDB')
  await rival.query('START TRANSACTION')
  await rival.query('INSERT INTO weight SELECT seq FROM seq_1_to_100')
  await rival.query('SELECT * FROM trail FOR UPDATE')
  const waits = await counted('Innodb_row_lock_waits')
  const next = payload()
  const replacing = store.replace(name, next, soon(), entry)
  while ((await counted('Innodb_row_lock_waits')) === waits) await new Promise(setImmediate)
  await rival.query('SELECT * FROM session WHERE session_key = ? FOR UPDATE', [name])
  await rival.query('ROLLBACK')
  t.is(typeof (await replacing), 'object')
  t.is((await store.read(name))?.payload, next)
  t.is(await counted('Innodb_deadlocks'), deadlocks + 1)
  await rival.end()
  await database.sql('DROP TRIGGER follow')
  await store.close()
})

test.serial('F9: a server with too many connections is asked again for a while', async (t) => {
  const { store, name, entry } = await begin({ poolSize: 1 })
  await database.sql('SET GLOBAL max_connections = 10')
  const others = []
  try {
    proxy.reset()
    for (;;) {
      const connection = await createConnection(database.url).catch(() => undefined)
      if (connection === undefined) break
      others.push(connection)
    }
    await t.throwsAsync(store.read(name), {
      message: 'mysql: read failed: the server has too many connections (ER_CON_COUNT_ERROR)',
    })
    const before = await counted('Connection_errors_max_connections')
    const reading = store.read(name)
    while ((await counted('Connection_errors_max_connections')) === before) await new Promise(setImmediate)
    await Promise.all(others.map(async (connection) => connection.end()))
    t.is((await reading)?.payload, entry.payload)
  } finally {
    await database.sql('SET GLOBAL max_connections = 500')
    await store.close()
  }
})

test.serial('F9: after a restart with a smaller packet limit, the new limit applies', async (t) => {
  const { store, name, entry } = await begin()
  const [row] = await database.sql('SELECT @@global.max_allowed_packet AS bytes')
  await database.sql('SET GLOBAL max_allowed_packet = 1048576')
  const large = payload('x'.repeat(2_000_000))
  try {
    proxy.reset()
    // Such a packet is answered by a cut, before or after the reason is read.
    await t.throwsAsync(store.replace(name, large, soon(), entry))
    await t.throwsAsync(store.replace(name, large, soon(), entry), {
      code: 'ERR_SESSION_LIMIT',
      message: 'mysql: replace refused, the payload has 2000035 bytes and may have 1047552',
    })
    t.is((await store.read(name))?.payload, entry.payload)
  } finally {
    await database.sql('SET GLOBAL max_allowed_packet = ?', [Number(row?.['bytes'])])
  }
  await store.close()
})

test.serial('F9: a packet that is too large for the server is ERR_SESSION_LIMIT', async (t) => {
  const client = createPool(url)
  const { store, name, entry } = await begin({ client })
  const connection = await client.getConnection()
  const refusal = Object.assign(new Error('too large'), { errno: 1153, code: 'ER_NET_PACKET_TOO_LARGE' })
  // The pool has this one connection, and hands out the same object underneath every time.
  Object.assign(connection.connection, {
    execute(_statement: object, _values: unknown[], done: (error: Error) => void) {
      done(refusal)
    },
  })
  connection.release()
  const error = await t.throwsAsync(store.replace(name, payload(), soon(), entry), {
    code: 'ERR_SESSION_LIMIT',
    message: 'mysql: replace refused, the payload exceeds what the server accepts (ER_NET_PACKET_TOO_LARGE)',
  })
  t.is(error.cause, refusal)
  await client.end()
})

test.serial('F9: a connection to a read-only server is replaced', async (t) => {
  const reader = new URL(url)
  await database.sql("CREATE USER reader@'%'")
  await database.sql(`GRANT ALL ON ${database.name}.* TO reader@'%'`)
  reader.username = 'reader'
  reader.password = ''
  const store = new MysqlStore({ url: reader.href })
  const name = key()
  await store.create(name, payload(), soon())
  await database.sql('SET GLOBAL read_only = ON')
  try {
    const before = proxy.connections
    await t.throwsAsync(store.touch(name, soon()), {
      message: 'mysql: touch failed: the server is read-only (ER_OPTION_PREVENTS_STATEMENT)',
    })
    t.truthy(await store.read(name))
    t.is(proxy.connections, before + 1)
  } finally {
    await database.sql('SET GLOBAL read_only = OFF')
  }
  t.is(await store.touch(name, soon()), 'ok')
  await store.close()
})

for (const [version, complaint] of [
  ['5.7.44', 'the server is MySQL 5.7, and 8.0 or newer is needed'],
  ['10.5.29-MariaDB', 'the server is MariaDB 10.5, and 10.6 or newer is needed'],
] as const) {
  test.serial(`a server that is too old is refused: ${version}`, async (t) => {
    const old = await privateMariadb(`--version=${version}`)
    const store = new MysqlStore({ url: old.url })
    await t.throwsAsync(store.open(), { message: `mysql: open failed: ${complaint}` })
    await store.close()
    await old.stop()
  })
}

async function counted(name: string): Promise<number> {
  const [row] = await database.sql(`SHOW GLOBAL STATUS LIKE '${name}'`)
  return Number(row?.['Value'])
}
