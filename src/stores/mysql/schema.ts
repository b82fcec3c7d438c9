import { createHash } from 'node:crypto'
import type { PoolConnection } from 'mysql2/promise'
import { SessionError } from '../../errors.ts'
import { execute } from './execute.ts'
import { createTable, type MysqlGrain } from './statements.ts'

/** What was found out about a table. */
export interface MysqlSchema {
  readonly table: string
  readonly grain: MysqlGrain
  /** The largest payload in bytes: what the column holds, and what the server takes in one packet. */
  readonly maxBytes: number
  /** Whether rows are locked one by one, as InnoDB does. */
  readonly locksRows: boolean
  /** A name for a lock that tells this table from every other one on the server. */
  readonly lock: string
}

interface Server {
  readonly database: string
  readonly maxPacket: number
}

interface Column {
  readonly type: string
  readonly collation: string
  readonly length: number
  /** Whether a row needs a value for it. */
  readonly isRequired: boolean
}

/** What a packet holds beside the payload: the statement's number, key, version, times, and their types. Generous. */
const PACKET_OVERHEAD = 1_024

/** Older servers know no `SKIP LOCKED`, and nobody maintains them. */
const OLDEST = { MySQL: [8, 0], MariaDB: [10, 6] } as const

const SERVER = 'SELECT VERSION(), DATABASE(), @@max_allowed_packet, @@autocommit'

const COLUMNS =
  'SELECT LOWER(column_name), LOWER(column_type), LOWER(collation_name), character_maximum_length, ' +
  "is_nullable = 'NO' AND column_default IS NULL AND extra = '' " +
  'FROM information_schema.columns WHERE table_schema = ? AND table_name = ?'

/** The columns of the primary key, and whether each is in it as a whole. */
const PRIMARY =
  'SELECT LOWER(column_name), sub_part IS NULL FROM information_schema.statistics ' +
  "WHERE table_schema = ? AND table_name = ? AND index_name = 'PRIMARY'"

const ENGINE = 'SELECT engine FROM information_schema.tables WHERE table_schema = ? AND table_name = ?'

/**
 * Finds the table, creates it if there is none, and looks whether it is one of the two that a store can use.
 *
 * @throws SessionError `ERR_SESSION_STORE` if the server is too old, or the table is somebody else's
 */
export async function openSchema(connection: PoolConnection, name: string): Promise<MysqlSchema> {
  const server = await inspectServer(connection)
  const where = [server.database, name]
  let columns = await columnsOf(connection, where)
  if (columns.size === 0) {
    // IF NOT EXISTS, because others may be starting at this moment too.
    await execute(connection, createTable(name))
    columns = await columnsOf(connection, where)
  }
  const grain = grainOf(columns)
  const [primary, ...more] = (await execute(connection, PRIMARY, where)).rows
  const isKeyed = primary?.[0] === 'session_key' && Number(primary[1]) === 1 && more.length === 0
  if (grain === undefined || !isKeyed || !isSufficient(columns)) throw foreign(name, columns, isKeyed)
  const engine = await execute(connection, ENGINE, where)
  return {
    table: name,
    grain,
    maxBytes: Math.min(columns.get('session_data')?.length ?? 0, server.maxPacket - PACKET_OVERHEAD),
    locksRows: engine.rows[0]?.[0] === 'InnoDB',
    lock: `koa-typed-session ${createHash('sha1').update(where.join('.')).digest('hex')}`,
  }
}

async function inspectServer(connection: PoolConnection): Promise<Server> {
  const { rows } = await execute(connection, SERVER)
  const [version, database, maxPacket, autocommit] = rows[0] ?? []
  const text = String(version)
  const kind = /mariadb/i.test(text) ? 'MariaDB' : 'MySQL'
  const [oldestMajor, oldestMinor] = OLDEST[kind]
  const [major = 0, minor = 0] = text.split('.', 2).map((part) => Number.parseInt(part, 10))
  if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor)) {
    throw refused(
      `the server is ${kind} ${major}.${minor}, and it takes ${oldestMajor}.${oldestMinor} or newer`,
    )
  }
  if (typeof database !== 'string') throw refused('the connection has selected no database')
  if (Number(autocommit) !== 1) throw refused('autocommit is off, so nothing would ever be stored')
  return { database, maxPacket: Number(maxPacket) }
}

async function columnsOf(connection: PoolConnection, where: string[]): Promise<ReadonlyMap<string, Column>> {
  const { rows } = await execute(connection, COLUMNS, where)
  return new Map(
    rows.map(([name, type, collation, length, isRequired]) => [
      String(name),
      {
        type: String(type),
        collation: String(collation),
        length: Number(length),
        isRequired: Number(isRequired) === 1,
      },
    ]),
  )
}

/** Which of the two tables has these columns. MySQL and MariaDB differ in what they write after the name of a type. */
function grainOf(columns: ReadonlyMap<string, Column>): MysqlGrain | undefined {
  const key = columns.get('session_key')
  const data = columns.get('session_data')
  const expiry = columns.get('session_expiry')
  if (key === undefined || data === undefined || expiry === undefined) return undefined
  if (!/^(?:medium|long)?blob$/.test(data.type)) return undefined
  if (/^bigint(?:\(\d+\))?$/.test(expiry.type)) {
    const isExact = key.collation === 'ascii_bin' || key.type.startsWith('varbinary')
    return isExact && key.type.startsWith('var') && key.length >= 128 ? 'milliseconds' : undefined
  }
  if (!/^int(?:\(\d+\))? unsigned$/.test(expiry.type)) return undefined
  return /^(?:var)?char/.test(key.type) && key.length >= 64 ? 'seconds' : undefined
}

/** Whether our three columns are all that a new row needs. */
function isSufficient(columns: ReadonlyMap<string, Column>): boolean {
  const ours = ['session_key', 'session_data', 'session_expiry']
  return [...columns].every(([name, { isRequired }]) => ours.includes(name) || !isRequired)
}

function foreign(name: string, columns: ReadonlyMap<string, Column>, isKeyed: boolean): SessionError {
  const found = [...columns].map(([column, { type }]) => `${column} ${type}`).join(', ')
  return refused(
    `the table ${name} is not one for sessions. It needs session_key char(64), session_data blob and session_expiry ` +
      'int unsigned, or what is created where there is no table, and session_key for its primary key; ' +
      `it has ${found}${isKeyed ? '' : ', and no such primary key'}`,
  )
}

function refused(problem: string): SessionError {
  return new SessionError('ERR_SESSION_STORE', `mysql: open failed: ${problem}`)
}
