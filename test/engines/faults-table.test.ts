import test, { type ExecutionContext } from 'ava'
import { createPool } from 'mysql2/promise'
import { Pool } from 'pg'
import { SessionManager, type SessionEvent } from '../../src/index.ts'
import type { Store } from '../../src/store.ts'
import { FileStore } from '../../src/stores/file.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import type { ProxiedEngine } from './proxied.ts'
import { sharedEngine } from './shared.ts'
import { patient } from './stores.ts'
import { openSite, type Site } from './site.ts'

const EXPIRED = 1_200

/** The engines that store sessions in a table: a connection past any proxy, and how to add expired rows. */
const tables: Readonly<Record<string, { pool(url: string): Connection; readonly expired: string }>> = {
  mysql: {
    pool: (uri) => createPool({ uri, connectionLimit: 1 }),
    expired: `INSERT INTO session SELECT CONCAT('old-', seq), 'x', seq FROM seq_1_to_${EXPIRED}`,
  },
  postgres: {
    pool: (connectionString) => new Pool({ connectionString, max: 1 }),
    expired: `INSERT INTO session SELECT 'old-' || n, 'x', now() - interval '1h', now() - interval '1h' FROM generate_series(1, ${EXPIRED}) n`,
  },
}
interface Connection {
  query(statement: string): Promise<unknown>
  end(): Promise<void>
}

interface Stage {
  readonly engine: ProxiedEngine
  readonly site: Site
  readonly events: readonly SessionEvent[]
  /** Resolves with the next such event. */
  told(is: (event: SessionEvent) => boolean): Promise<void>
  sql(statement: string): Promise<unknown>
}

async function stage(t: ExecutionContext, provider: string, sweepInterval: number): Promise<Stage> {
  const engine = await sharedEngine(provider)
  const table = tables[provider]
  if (!('proxy' in engine) || table === undefined) throw new Error(`no table in ${provider}`)
  const events: SessionEvent[] = []
  let tell = (): void => {}
  const site = await openSite(
    {
      ...patient(provider, engine.config),
      sweepInterval,
      onEvent(event) {
        events.push(event)
        tell()
      },
    },
    {
      begin: ({ session }) => void session.set('n', 0),
      count: ({ session }) => session.update('n', (n = 0) => n + 1),
      look: ({ session }) => session.get('n'),
    },
  )
  const pool = table.pool(engine.direct)
  t.teardown(async () => {
    await site.close()
    await pool.end()
  })
  return {
    engine,
    site,
    events,
    async told(is) {
      while (!events.some(is)) await new Promise<void>((resolve) => (tell = resolve))
    },
    sql: async (statement) => pool.query(statement),
  }
}

for (const [provider, { expired }] of Object.entries(tables)) {
  test.serial(
    `F25: ${provider}: a table of another version is reported by column, stays as it is, and is used again when it fits`,
    async (t) => {
      const { site, events, sql } = await stage(t, provider, 0)
      const { cookie: id = '' } = await site.ask('/begin')

      await sql('ALTER TABLE session ADD COLUMN note int')
      t.is((await site.ask('/count', id)).text, '1', 'a newer table with a column more is no trouble')

      await sql('ALTER TABLE session RENAME COLUMN session_data TO data')
      for (const path of ['/look', '/count', '/count']) t.is((await site.ask(path, id)).status, 503)
      const { status, cookie } = await site.ask('/begin')
      t.deepEqual([status, cookie], [503, undefined])
      const reasons = events.map((event) => (event.type === 'store-failed' ? String(event.error) : ''))
      t.true(
        reasons.some((reason) => reason.includes('session_data')),
        reasons.join('\n'),
      )

      await sql('ALTER TABLE session RENAME COLUMN data TO session_data')
      for (;;) {
        const answer = await site.ask('/count', id)
        if (answer.status === 503) continue
        t.is(answer.text, '2')
        break
      }
      await sql('ALTER TABLE session DROP COLUMN note')
    },
  )

  test.serial(
    `F18: ${provider}: four processes that sweep at once remove each expired row once, while a session is used`,
    async (t) => {
      const { engine, site, sql } = await stage(t, provider, 0)
      const { cookie: id = '' } = await site.ask('/begin')
      await sql(expired)
      const sweepers = Array.from({ length: 4 }, () => new SessionManager(patient(provider, engine.config)))
      const work = async (): Promise<void> => {
        for (let n = 1; n <= 20; n += 1) t.is((await site.ask('/count', id)).text, String(n))
      }
      const [removed] = await Promise.all([
        Promise.all(sweepers.map(async (sweeper) => sweeper.sweep())),
        work(),
      ])
      const rest = await site.sessions.manager.sweep()
      t.is(removed.reduce((sum, n) => sum + n) + rest, EXPIRED)
      t.is((await site.ask('/look', id)).text, '20')
      t.is(await site.sessions.manager.sweep(), 0)
      await Promise.all(sweepers.map(async (sweeper) => sweeper.close()))
    },
  )

  test.serial(`F18: ${provider}: the sweep timer survives an outage of the server`, async (t) => {
    const { engine, site, sql, told } = await stage(t, provider, 20)
    await site.ask('/begin')
    engine.proxy.cut()
    await told((event) => event.type === 'store-failed' && event.verb === 'sweep')
    engine.proxy.mend()
    await sql(expired)
    await told((event) => event.type === 'swept')
    return t.pass()
  })
}

const inFiles: Readonly<Record<string, (path: string, now?: () => number) => Store>> = {
  file: (folder, now) => new FileStore({ folder, sync: false, ...(now !== undefined && { now }) }),
  sqlite: (file, now) => new SqliteStore({ path: file, sync: false, ...(now !== undefined && { now }) }),
}

for (const [provider, open] of Object.entries(inFiles)) {
  test.serial(
    `F18: ${provider}: four processes that sweep at once remove each expired session once`,
    async (t) => {
      const { config } = await sharedEngine(provider)
      const past = open(config, () => 0)
      const keys = Array.from({ length: EXPIRED / 2 }, (_, n) => `old-${n}`)
      const payload = 'kts1 0123456789abcdef 0'
      await Promise.all(keys.map(async (key) => past.create(key, payload, 1_000)))
      const living = open(config)
      await living.create('living', payload, Date.now() + 3_600_000)
      const sweepers = Array.from({ length: 4 }, () => new SessionManager(patient(provider, config)))
      const removed = await Promise.all(sweepers.map(async (sweeper) => sweeper.sweep()))
      const rest = await sweepers[0]?.sweep()
      t.is(removed.reduce((sum, n) => sum + n) + Number(rest), keys.length)
      t.truthy(await living.read('living'))
      await Promise.all([...sweepers, past, living].map(async (each) => each.close()))
    },
  )
}
