import { readFile } from 'node:fs/promises'
import path from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { Pool } from 'pg'
import { SessionError } from '../../../src/errors.ts'
import { postgresError } from '../../../src/stores/postgres/errors.ts'
import { PostgresStore, type PostgresStoreOptions } from '../../../src/stores/postgres.ts'
import { counting, openSite, type Site } from '../../engines/site.ts'
import { startPostgresGate } from '../../servers/postgres-gate.ts'
import { emptyDatabase, startPostgres, type Database } from '../../servers/postgres.ts'

const server = await startPostgres()
const gate = await startPostgresGate(server.port)
test.after.always(async () => {
  await gate.stop()
  await server.stop()
})

const HEALTHY = 4
const CROWD = 40

interface Stage {
  readonly database: Database
  readonly site: Site
  readonly ids: readonly string[]
  readonly reports: string[]
}

/** A site whose store has four connections, and forty sessions. */
async function stage(t: ExecutionContext, options: PostgresStoreOptions, database: Database): Promise<Stage> {
  const reports: string[] = []
  const store = new PostgresStore(options)
  const site = await openSite(
    {
      store,
      onEvent: (event) => event.type.startsWith('store-') && reports.push(JSON.stringify(event)),
    },
    counting,
  )
  t.teardown(async () => site.close())
  const ids: string[] = []
  while (ids.length < CROWD) ids.push((await site.ask('/begin')).cookie ?? '')
  // So many at once as there are to be connections.
  await database.query('BEGIN READ WRITE; LOCK TABLE session IN SHARE ROW EXCLUSIVE MODE; COMMIT')
  await Promise.all(ids.slice(0, HEALTHY).map(async (id) => site.ask('/look', id)))
  return { database, site, ids, reports }
}

async function crowd({ site, ids }: Stage, path: string): Promise<readonly number[]> {
  const answers = await Promise.all(ids.map(async (id) => site.ask(path, id)))
  return [...new Set(answers.map(({ status }) => status))]
}

function through(port: number, database: Database): string {
  const url = new URL(database.url)
  url.port = String(port)
  url.searchParams.set('sslmode', 'disable')
  return url.href
}

/** Connections of a pool until there are so many. */
async function warm(client: Pool, connections: number): Promise<void> {
  const clients = await Promise.all(Array.from({ length: connections }, async () => client.connect()))
  for (const each of clients) each.release()
}

for (const code of ['53200', '53300', '53400', '57P01', '57P02', '57P03']) {
  test.serial(
    `F8: while new connections are refused with ${code}, four healthy ones serve forty requests at once`,
    async (t) => {
      const database = await emptyDatabase(server)
      const client = new Pool({ connectionString: through(gate.port, database), max: 10 })
      client.on('error', () => undefined)
      t.teardown(async () => {
        gate.admit()
        await client.end()
        await database.drop()
      })
      const scene = await stage(t, { client }, database)
      await warm(client, HEALTHY)
      while (client.totalCount > HEALTHY) {
        const extra = await client.connect()
        extra.release(true)
      }
      const before = gate.refused
      gate.refuse(code)
      for (let round = 0; round < 5; round += 1) {
        t.deepEqual(await crowd(scene, '/count'), [200])
        t.deepEqual(await crowd(scene, '/look'), [200])
      }
      t.deepEqual(scene.reports, [])
      t.true(gate.refused > before, 'connections were refused')
      // One for each request of the first moment, and then one now and then.
      t.true(gate.refused - before < 2 * CROWD, `${gate.refused - before} attempts`)
      gate.admit()
      t.deepEqual(await crowd(scene, '/count'), [200])
      t.is((await scene.site.ask('/look', scene.ids[0])).text, '6')
    },
  )

  test.serial(
    `F8: a store without a connection asks again where it is refused with ${code}, and then says so`,
    async (t) => {
      const database = await emptyDatabase(server)
      t.teardown(async () => {
        gate.admit()
        await database.drop()
      })
      gate.refuse(code, 2)
      const store = new PostgresStore({ url: through(gate.port, database) })
      await store.open()
      await store.close()
      const before = gate.refused
      gate.refuse(code)
      const later = new PostgresStore({ url: through(gate.port, database) })
      const error = await t.throwsAsync(later.create('key', 'kts1 0123456789abcdef x', Date.now() + 60_000))
      t.regex(error.message, new RegExp(`^postgres: open failed: .*\\(${code}\\)`))
      t.is(gate.refused - before, 6)
      await later.close()
    },
  )
}

test.serial(
  'F8: a role with a limit of four connections serves forty requests at once, writes included',
  async (t) => {
    const database = await emptyDatabase(server)
    await database.query(`CREATE ROLE few LOGIN PASSWORD 'few' CONNECTION LIMIT ${HEALTHY}`)
    await database.query('GRANT CREATE ON SCHEMA public TO few')
    const url = new URL(database.url)
    ;[url.username, url.password] = ['few', 'few']
    t.teardown(async () => {
      await database.query('DROP OWNED BY few')
      await database.query('DROP ROLE few')
      await database.drop()
    })
    const scene = await stage(t, { url: url.href }, database)
    for (let round = 0; round < 5; round += 1) t.deepEqual(await crowd(scene, '/count'), [200])
    t.is((await scene.site.ask('/look', scene.ids[7])).text, '5')
    t.deepEqual(scene.reports, [])
    await scene.site.close()
  },
)

test.serial(
  'F8: a server that shuts down serves the connections that it has until they end (57P03)',
  async (t) => {
    const own = await startPostgres()
    const database = await emptyDatabase(own)
    const client = new Pool({ connectionString: database.url, max: 10 })
    client.on('error', () => undefined)
    t.teardown(async () => {
      await client.end()
      await database.drop().catch(() => undefined)
      await own.stop()
    })
    const scene = await stage(t, { client }, database)
    await warm(client, HEALTHY)
    const [pid = ''] = (await readFile(path.join(own.data, 'postmaster.pid'), 'utf8')).split('\n')
    process.kill(Number(pid), 'SIGTERM') // it waits for its clients
    const refused = await t.throwsAsync(new Pool({ connectionString: database.url }).connect())
    t.like(refused, { code: '57P03' })
    for (let round = 0; round < 5; round += 1) t.deepEqual(await crowd(scene, '/count'), [200])
    t.deepEqual(scene.reports, [])
    await scene.site.close()
  },
)

test('F27: an error says whether the server has answered', (t) => {
  const of = (code: string): Error =>
    Object.assign(new Error('as the server says'), { code, severity: 'ERROR' })
  const answers = {
    '53100': true, // disk full
    '53200': true,
    '53300': true,
    '53400': true,
    '25006': true, // read-only
    '42501': true, // no right
    '28P01': true,
    '28000': true,
    '3D000': true,
    '42P01': true,
    '55P03': true, // a lock
    '55000': true,
    '54000': true,
    '57P03': true, // starts or stops
    '58030': true,
    '23514': true,
    P0001: true,
    XX001: true,
    '40001': true,
    '40003': false, // whether it was carried out is not known
    '57014': false, // after its time
    '57P01': false, // cut off
    '57P02': false,
    '57P04': false,
    '57P05': false,
    '08006': false,
    '08P01': false,
  }
  for (const [code, answered] of Object.entries(answers)) {
    const error = postgresError('read', of(code))
    t.true(error instanceof SessionError)
    t.is(error.answered, answered, code)
  }
  for (const code of ['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'ENOTFOUND', undefined]) {
    t.false(postgresError('read', Object.assign(new Error('lost'), { code })).answered, code)
  }
  t.regex(
    postgresError('create', of('53100')).message,
    /\(53100\); there is no room on the disk of the server$/,
  )
})
