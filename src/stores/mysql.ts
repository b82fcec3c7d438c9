import { Buffer } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import type { Pool, PoolConnection } from 'mysql2/promise'
import {
  versionOf,
  type Counting,
  type Diagnosing,
  type Diagnosis,
  type Entry,
  type Store,
  type StoreTraits,
  type Sweeping,
  type Written,
} from '../store.ts'
import { execute, MysqlDriver } from './mysql/connection.ts'
import { diagnoseMysql } from './mysql/diagnosis.ts'
import { isDuplicateKey } from './mysql/errors.ts'
import { mysqlSettings, type MysqlStoreOptions } from './mysql/options.ts'
import { openSchema, traitsOf } from './mysql/schema.ts'
import { MysqlStatements, sweepTable } from './mysql/statements.ts'
import { refusedError } from './shared/errors.ts'
import { assertFits } from './shared/payload-limit.ts'
import { PooledRunner } from './shared/pooled-runner.ts'

export type { MysqlStoreOptions }
export type { MysqlPool } from './mysql/connection.ts'
export type { MysqlTlsOptions } from './mysql/tls.ts'

/** What holds for every kind of table, until it is known which one there is. */
const LEAST_TRAITS = traitsOf('seconds', 65_535)

/** The largest difference between two times of a `Date`, in ms. */
const LONGEST = 8.64e15

/** How often `create` tries while other requests create and destroy an entry with the same key. */
const MAX_ROUNDS = 10

/**
 * Sessions in a table of MySQL 8.0 or MariaDB 10.6 or newer: the three-column table of the beego documentation, or a better
 * one, which is created if there is no table.
 *
 * The database's clock decides what has expired: times are sent and read as the ms that are left. So neither clocks that
 * differ between processes nor time zones matter. Until the table is known, `traits` tell what holds for both kinds.
 */
export class MysqlStore implements Store, Sweeping, Counting, Diagnosing {
  /** The option `table`. */
  readonly namespace: string

  readonly #runner: PooledRunner<Pool, PoolConnection, MysqlStatements>
  readonly #now: () => number

  /** @throws SessionError `ERR_SESSION_OPTIONS` if an option is wrong, or `url` malformed */
  constructor(options: MysqlStoreOptions) {
    const settings = mysqlSettings(options)
    const { table, timeout, now } = settings
    this.namespace = table
    this.#now = now
    this.#runner = new PooledRunner(
      new MysqlDriver(settings),
      timeout,
      async (connection) => new MysqlStatements(await openSchema(connection, table)),
    )
  }

  /** A store from the config string of a provider, which is a `url`. It connects at its first verb. */
  static fromConfig(config: string, context: { readonly now: () => number }): MysqlStore {
    return new MysqlStore({ url: config, now: context.now })
  }

  get traits(): StoreTraits {
    return this.#runner.table?.schema.traits ?? LEAST_TRAITS
  }

  /**
   * Connects, finds or creates the table, and runs the statements of the verbs on a key that does not exist; rejects if the server is
   * read-only, or the user has not all rights.
   */
  async open(): Promise<void> {
    await this.#runner.open(proveVerbs)
  }

  /** One round trip. Ignores `extendTo`: the same statement cannot read a row and extend its life. */
  async read(key: string): Promise<Entry | undefined> {
    return this.#runner.run('read', true, async (connection, table) => {
      const askedAt = this.#now()
      const [row] = (await execute(connection, table.read, [table.nameOf(key)])).rows
      if (row === undefined) return undefined
      const [data, life] = row
      // Other programs may have stored something else than bytes there.
      return { payload: Buffer.isBuffer(data) ? data.toString() : '', expiresAt: askedAt + Number(life) }
    })
  }

  /** One round trip, and two more to replace an expired row. */
  async create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    return this.#runner.run('create', false, async (connection, table) => {
      assertFits(table.schema.traits, 'create', payload)
      const [name, bytes, life] = [table.nameOf(key), Buffer.from(payload), this.#left(expiresAt)]
      for (let round = 0; round < MAX_ROUNDS; round += 1) {
        const insert = execute(connection, table.insert, [name, bytes, life])
        if (await insert.then(() => true, isTaken)) return { entry: { payload, expiresAt } }
        const { affected } = await execute(connection, table.succeed, [bytes, life, name])
        if (affected > 0) return { entry: { payload, expiresAt } }
        if (await isAlive(connection, table, name)) return 'exists'
        // The row that was in the way has been destroyed or swept in between.
      }
      throw refusedError('mysql', 'create failed: other requests keep creating and destroying this session')
    })
  }

  /** One round trip, and one more to tell a conflict from an absent entry. */
  async replace(
    key: string,
    payload: string,
    expiresAt: number,
    base: Entry,
  ): Promise<Written | 'conflict' | 'gone'> {
    return this.#runner.run('replace', false, async (connection, table) => {
      assertFits(table.schema.traits, 'replace', payload)
      const name = table.nameOf(key)
      const values = [Buffer.from(payload), this.#left(expiresAt), name, versionOf(base.payload)]
      const { affected } = await execute(connection, table.replace, values)
      if (affected > 0) return { entry: { payload, expiresAt } }
      return (await isAlive(connection, table, name)) ? 'conflict' : 'gone'
    })
  }

  async touch(key: string, expiresAt: number): Promise<'ok' | 'gone'> {
    return this.#runner.run('touch', true, async (connection, table) => {
      const name = table.nameOf(key)
      const { affected } = await execute(connection, table.touch, [this.#left(expiresAt), name])
      // A client without the flag FOUND_ROWS does not count a row that already lives longer.
      return affected > 0 || (await isAlive(connection, table, name)) ? 'ok' : 'gone'
    })
  }

  async destroy(key: string, base?: Entry): Promise<'ok' | 'conflict' | 'gone'> {
    // Without `base` it is repeatable: it does no harm to remove the entry twice.
    return this.#runner.run('destroy', base === undefined, async (connection, table) => {
      const name = table.nameOf(key)
      if (base === undefined) {
        const { affected } = await execute(connection, table.destroy, [name])
        return affected > 0 ? 'ok' : 'gone'
      }
      const { affected } = await execute(connection, table.destroyBase, [name, versionOf(base.payload)])
      if (affected > 0) return 'ok'
      return (await isAlive(connection, table, name)) ? 'conflict' : 'gone'
    })
  }

  /** Removes at most 500 rows at a time. Skips locked rows, and removes nothing while another process sweeps. */
  async sweep(limit: number): Promise<number> {
    return this.#runner.run('sweep', true, async (connection, table) => sweepTable(connection, table, limit))
  }

  async count(): Promise<number> {
    return this.#runner.run('count', true, async (connection, table) => {
      const { rows } = await execute(connection, table.count)
      return Number(rows[0]?.[0])
    })
  }

  /** What the server acknowledges, how the nodes of a cluster read, and whose rows there are. */
  async diagnose(): Promise<Diagnosis> {
    return this.#runner.run('diagnose', true, async (connection, table) =>
      diagnoseMysql(async (sql) => (await execute(connection, sql)).rows, table.foreign),
    )
  }

  /** Closes the connections that the store opened. */
  async close(): Promise<void> {
    await this.#runner.close()
  }

  /** The ms that are left until `expiresAt`, at the time of the call. */
  #left(expiresAt: number): number {
    return Math.max(-LONGEST, Math.min(LONGEST, Math.ceil(expiresAt - this.#now())))
  }
}

/** Does what the verbs do, with no effect, so that it is refused where they would be. */
async function proveVerbs(connection: PoolConnection, table: MysqlStatements): Promise<void> {
  const name = table.nameOf(`open-${randomBytes(8).toString('hex')}`)
  const columns = 'session_key, session_data, session_expiry'
  const quoted = `\`${table.schema.table}\``
  await execute(connection, table.read, [name])
  await execute(connection, `INSERT INTO ${quoted} (${columns}) SELECT ${columns} FROM ${quoted} WHERE 1 = 0`)
  await execute(connection, table.touch, [0, name])
  await execute(connection, table.destroy, [name])
}

/**
 * Whether there is a living row. It explains why a statement matched none: a version is never used twice, so a row that lives
 * now had another version then, too.
 */
async function isAlive(connection: PoolConnection, table: MysqlStatements, name: string): Promise<boolean> {
  return (await execute(connection, table.life, [name])).rows.length > 0
}

function isTaken(error: unknown): false {
  if (isDuplicateKey(error)) return false
  throw error
}
