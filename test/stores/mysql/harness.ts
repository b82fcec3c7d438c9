import { randomBytes } from 'node:crypto'
import { MysqlStore } from '../../../src/stores/mysql.ts'
import type { StoreHarness } from '../../../src/testing/index.ts'
import { freshDatabase, mariadbServer, type MariadbDatabase } from '../../servers/mariadb.ts'
import { statementsOf } from '../../support/markdown.ts'
import { startProxy, type Proxy } from '../../servers/proxy.ts'

/** A database and a proxy before its server, for as long as a test file runs. */
export interface Bench {
  readonly database: MariadbDatabase
  readonly proxy: Proxy
  /** The database, reached through the proxy. */
  readonly url: string
  /** The same for the user of the harness. */
  readonly modestUrl: string
  readonly harness: StoreHarness
  end(): Promise<void>
}

/** The table of the beego documentation, to the letter. */
export const CLASSIC =
  'CREATE TABLE `session` ( `session_key` char(64) NOT NULL, `session_data` blob, ' +
  '`session_expiry` int(11) unsigned NOT NULL, PRIMARY KEY (`session_key`)) ENGINE=MyISAM DEFAULT CHARSET=utf8'

/** What makes every row of a table older by so many ms, in place of waiting. */
const OLDER = {
  ours: 'UPDATE session SET session_expiry = session_expiry - ?',
  classic:
    'UPDATE session SET session_expiry = GREATEST(0, CAST(session_expiry AS SIGNED) - CEILING(? / 1000))',
}

export async function bench(kind: 'ours' | 'classic'): Promise<Bench> {
  const server = await mariadbServer()
  const database = await freshDatabase(server)
  if (kind === 'classic') await database.sql(CLASSIC)
  const proxy = await startProxy({
    port: Number(new URL(server.url).port),
    host: new URL(server.url).hostname,
  })
  const through = new URL(database.url)
  through.hostname = '127.0.0.1'
  through.port = String(proxy.port)
  const url = through.href
  if (kind === 'ours') {
    const first = new MysqlStore({ url: database.url })
    await first.open() // makes the table
    await first.close()
  }
  // With the rights that the documentation names, and no others.
  const modest = new URL(await database.urlFor(await statementsOf('docs/stores/mysql.md', 'GRANT ')))
  modest.hostname = through.hostname
  modest.port = through.port
  const harness: StoreHarness = {
    async open() {
      const store = new MysqlStore({ url: modest.href, timeout: 10_000 })
      await store.open()
      return store
    },
    now: Date.now,
    async advance(ms) {
      await database.sql(OLDER[kind], [ms])
    },
    sweeps: true,
    counts: true,
    break: () => proxy.cut(),
    mend: () => proxy.mend(),
    // By a trigger, and with the code of a table that is full: the user of the tests may write to a server that is read-only.
    async refuse() {
      const signal = "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114, MESSAGE_TEXT = 'The table is full'"
      await database.sql(`CREATE TRIGGER full_insert BEFORE INSERT ON session FOR EACH ROW ${signal}`)
      await database.sql(`CREATE TRIGGER full_update BEFORE UPDATE ON session FOR EACH ROW ${signal}`)
    },
    async admit() {
      await database.sql('DROP TRIGGER full_insert')
      await database.sql('DROP TRIGGER full_update')
    },
  }
  return {
    database,
    proxy,
    url,
    modestUrl: modest.href,
    harness,
    async end() {
      await database.drop()
      await proxy.stop()
      await server.stop()
    },
  }
}

let versions = 0

/** A payload with a version of its own. */
export function payload(body = ''): string {
  versions += 1
  return `kts1 ${String(versions).padStart(16, '0')} 1700000000000${body}`
}

/** A key as a manager makes them. */
export function key(): string {
  return randomBytes(32).toString('hex')
}

export function soon(): number {
  return Date.now() + 3_600_000
}

/** Rows that expired in 1970, in seconds and in ms: `old-1` and so on, and the moment is the number. */
export async function addExpired({ sql }: MariadbDatabase, howMany: number): Promise<void> {
  const rows = Array.from({ length: howMany }, (_, at) => `('old-${at + 1}', 'x', ${at + 1})`)
  await sql(`INSERT INTO session VALUES ${rows.join()}`)
}
