import { createHash } from 'node:crypto'
import type { PoolConnection } from 'mysql2/promise'
import type { StoreTraits } from '../../store.ts'
import { refusedError } from '../shared/errors.ts'
import { execute } from './connection.ts'

/** The unit of a table's expiry: seconds in the documented table, ms in the one that is created here. */
export type MysqlGrain = 'seconds' | 'milliseconds'

/** The properties of a table. */
export interface MysqlSchema {
  readonly table: string
  readonly grain: MysqlGrain
  readonly traits: StoreTraits
  /** Whether the table locks single rows, as InnoDB does. */
  readonly locksRows: boolean
  /** The name of a lock, unique to this table on the server. */
  readonly lock: string
}

interface Server {
  readonly database: string
  readonly maxPacket: number
  /** The SQL modes of the connection, as `@@sql_mode` lists them. */
  readonly modes: string
}

interface Column {
  readonly type: string
  readonly collation: string
  readonly length: number
  /** Whether an INSERT must give a value for it. */
  readonly isRequired: boolean
}

/** An upper bound for the bytes of a packet that are not payload: statement number, key, version, times, and types. */
const PACKET_OVERHEAD = 1_024

/** Older servers have no `SKIP LOCKED`, and are not maintained. */
const OLDEST = { MySQL: [8, 0], MariaDB: [10, 6] } as const

const SERVER = 'SELECT VERSION(), DATABASE(), @@max_allowed_packet, @@autocommit, @@sql_mode'

/** The SQL modes that change nothing in the statements below; the ones of every server by default are among them. */
const HARMLESS =
  /^(?:STRICT_\w+|NO_ZERO_\w+|ERROR_FOR_DIVISION_BY_ZERO|NO_AUTO_CREATE_USER|NO_ENGINE_SUBSTITUTION|ONLY_FULL_GROUP_BY|TRADITIONAL|)$/

/** The SQL modes for these statements on a connection that has others. */
const NEUTRAL = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'

const COLUMNS =
  'SELECT LOWER(column_name), LOWER(column_type), LOWER(collation_name), character_maximum_length, ' +
  "is_nullable = 'NO' AND column_default IS NULL AND extra = '' " +
  'FROM information_schema.columns WHERE table_schema = ? AND table_name = ?'

/** The columns of the primary key, and whether the key contains the whole column. */
const PRIMARY =
  'SELECT LOWER(column_name), sub_part IS NULL FROM information_schema.statistics ' +
  "WHERE table_schema = ? AND table_name = ? AND index_name = 'PRIMARY'"

const ENGINE = 'SELECT engine FROM information_schema.tables WHERE table_schema = ? AND table_name = ?'

/** The traits of a store with such a table. `maxBytes` is what the column holds and the server accepts in one packet. */
export function traitsOf(grain: MysqlGrain, maxBytes: number): StoreTraits {
  return {
    name: 'mysql',
    location: 'server',
    revocable: true,
    shared: true,
    durable: true,
    resolution: grain === 'seconds' ? 1_000 : 1,
    maxBytes,
  }
}

/**
 * Finds the table, creates it if it is missing, and checks that it is one of the two kinds that a store can use.
 *
 * @throws SessionError `ERR_SESSION_STORE` if the server is too old, or the table is of another kind
 */
export async function openSchema(connection: PoolConnection, name: string): Promise<MysqlSchema> {
  const server = await inspectServer(connection)
  return withNeutralModes(connection, server.modes, async () => findTable(connection, server, name))
}

/**
 * Runs `work` without the SQL modes by which a server describes the same table otherwise: `ORACLE` writes the types of columns in
 * another way, and to `EMPTY_STRING_IS_NULL` no text equals `''`.
 */
async function withNeutralModes<T>(
  connection: PoolConnection,
  modes: string,
  work: () => Promise<T>,
): Promise<T> {
  if (modes.split(',').every((mode) => HARMLESS.test(mode))) return work()
  await execute(connection, 'SET SESSION sql_mode = ?', [NEUTRAL])
  try {
    return await work()
  } finally {
    // The connection may be the application's. One that cannot be put back is not used again.
    await execute(connection, 'SET SESSION sql_mode = ?', [modes]).catch(() => connection.destroy())
  }
}

async function findTable(connection: PoolConnection, server: Server, name: string): Promise<MysqlSchema> {
  const where = [server.database, name]
  let columns = await columnsOf(connection, where)
  if (columns.size === 0) {
    await execute(connection, tableDefinition(name))
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
    traits: traitsOf(
      grain,
      Math.min(columns.get('session_data')?.length ?? 0, server.maxPacket - PACKET_OVERHEAD),
    ),
    locksRows: engine.rows[0]?.[0] === 'InnoDB',
    lock: `koa-typed-session ${createHash('sha1').update(where.join('.')).digest('hex')}`,
  }
}

async function inspectServer(connection: PoolConnection): Promise<Server> {
  const { rows } = await execute(connection, SERVER)
  const [version, database, maxPacket, autocommit, modes] = rows[0] ?? []
  const text = String(version)
  const kind = /mariadb/i.test(text) ? 'MariaDB' : 'MySQL'
  const [oldestMajor, oldestMinor] = OLDEST[kind]
  const [major = 0, minor = 0] = text.split('.', 2).map((part) => Number.parseInt(part, 10))
  if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor)) {
    throw openError(
      `the server is ${kind} ${major}.${minor}, and ${oldestMajor}.${oldestMinor} or newer is needed`,
    )
  }
  if (typeof database !== 'string') throw openError('the connection has selected no database')
  if (Number(autocommit) !== 1) throw openError('autocommit is off, so nothing would be stored')
  return { database, maxPacket: Number(maxPacket), modes: String(modes) }
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

/** The kind of a table with these columns. MySQL and MariaDB write type names with different suffixes. */
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

/** Whether the three columns of a session are all that an INSERT must give. */
function isSufficient(columns: ReadonlyMap<string, Column>): boolean {
  const ours = ['session_key', 'session_data', 'session_expiry']
  return [...columns].every(([name, { isRequired }]) => ours.includes(name) || !isRequired)
}

/**
 * The SQL that creates a table: keys are case-sensitive, payloads are bytes up to 16 MiB, and an index serves the sweep.
 * `IF NOT EXISTS`, because other processes may be starting at the same time.
 */
function tableDefinition(table: string): string {
  return (
    `CREATE TABLE IF NOT EXISTS \`${table}\` (` +
    'session_key varchar(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, ' +
    'session_data mediumblob NOT NULL, ' +
    "session_expiry bigint NOT NULL COMMENT 'ms since 1970-01-01 UTC', " +
    'PRIMARY KEY (session_key), ' +
    'KEY session_expiry (session_expiry)' +
    ') ENGINE=InnoDB'
  )
}

function foreign(name: string, columns: ReadonlyMap<string, Column>, isKeyed: boolean): Error {
  const found = [...columns].map(([column, { type }]) => `${column} ${type}`).join(', ')
  return openError(
    `the table ${name} is not a table of sessions. It needs session_key char(64), session_data blob and session_expiry ` +
      'int unsigned, or the columns of the table that is created by default, and session_key as its primary key; ' +
      `it has ${found}${isKeyed ? '' : ', and no such primary key'}`,
  )
}

function openError(problem: string): Error {
  return refusedError('mysql', `open failed: ${problem}`)
}
