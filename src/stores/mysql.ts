import type { PoolConnection } from 'mysql2/promise'
import { SessionError } from '../errors.ts'
import {
  type Counting,
  type Entry,
  type Store,
  type StoreTraits,
  type Sweeping,
  type Written,
} from '../store.ts'
import { MysqlConnection, type MysqlPool } from './mysql/connection.ts'
import { parseMysqlConfig } from './mysql/config.ts'
import { outdatesTable } from './mysql/errors.ts'
import { isTable } from './mysql/parameters.ts'
import { openSchema, type MysqlSchema } from './mysql/schema.ts'
import { sweepTable } from './mysql/sweep.ts'
import { MysqlTable } from './mysql/table.ts'

export type { MysqlPool }

/** Settings of the {@link MysqlStore}: a `client` or a `url`, and what is to be otherwise than by default. */
export interface MysqlStoreOptions {
  /** A pool of mysql2 that is connected to the right database. It is used and never closed. */
  readonly client?: MysqlPool
  /** `mysql://user:password@host:3306/database`, `mariadb://…`, or `user:password@tcp(host:3306)/database`. */
  readonly url?: string
  /** The table, created if there is none. Default: `session`. */
  readonly table?: string
  /** How many connections at most. Default: 10. Not with `client`. */
  readonly poolSize?: number
  /** How long a call may take before it rejects, in ms. Default: 5,000. */
  readonly timeout?: number
  /** The clock, in ms since the epoch. Default: `Date.now`. */
  readonly now?: () => number
}

const TABLE = 'session'
const POOL_SIZE = 10
const TIMEOUT = 5_000

const TRAITS = { name: 'mysql', location: 'server', revocable: true, shared: true, durable: true } as const

/** What every table of ours can do, until it is known which one there is. */
const LEAST = { grain: 'seconds', maxBytes: 65_535 } as const

/** The largest distance between two moments that a `Date` knows. */
const FOREVER = 8.64e15

/**
 * Sessions in a table of MySQL 8.0 or MariaDB 10.6 or newer: in the three-column one of the beego documentation, or in
 * a better one that it creates where there is none.
 *
 * The database's clock decides who is alive: a moment is sent as the time that is left by the clock here, and read as such.
 * So neither clocks that disagree nor time zones matter. Until the table was found, `traits` tell what holds for both.
 */
export class MysqlStore implements Store, Sweeping, Counting {
  readonly #client: MysqlConnection
  readonly #name: string
  readonly #now: () => number
  #table: MysqlTable | undefined
  #isOutdated = false
  #opening: Promise<MysqlTable> | undefined

  /** @throws SessionError `ERR_SESSION_OPTIONS` if a setting is wrong, or `url` malformed */
  constructor(options: MysqlStoreOptions) {
    const { client, url, now = Date.now, ...own } = options
    const settings = url === undefined ? undefined : parseMysqlConfig(url)
    const { table = TABLE, timeout = TIMEOUT, poolSize = POOL_SIZE } = { ...settings, ...own }
    if (!isTable(table)) throw wrong('table must be the plain name of a table: letters, digits, _ and $')
    if (!isWhole(timeout)) throw wrong('timeout must be a whole number of ms, 1 or more')
    if (!isWhole(poolSize)) throw wrong('poolSize must be a whole number, 1 or more')
    if (client !== undefined && own.poolSize !== undefined) throw wrong('poolSize is for the client to say')
    this.#name = table
    this.#now = now
    if (settings !== undefined && client === undefined) {
      this.#client = new MysqlConnection({ settings: { ...settings, poolSize } }, timeout)
    } else if (settings === undefined && client !== undefined) {
      this.#client = new MysqlConnection({ pool: client }, timeout)
    } else throw wrong('give either a client or a url')
  }

  /** The store that a config string describes. It connects at its first use. */
  static fromConfig(config: string, context: { readonly now: () => number }): MysqlStore {
    return new MysqlStore({ url: config, now: context.now })
  }

  get traits(): StoreTraits {
    const { grain, maxBytes } = this.#table?.schema ?? LEAST
    const resolution = grain === 'seconds' ? 1_000 : 1
    return { ...TRAITS, resolution, maxBytes }
  }

  /** Connects, and finds or creates the table. */
  async open(): Promise<void> {
    await this.#found('open')
  }

  /** One round trip. The life is not extended in the same one, so `expiresAt` is what it was. */
  async read(key: string): Promise<Entry | undefined> {
    return this.#run('read', true, async (connection, table) => {
      const askedAt = this.#now()
      const row = await table.read(connection, key)
      return row && { payload: row.payload, expiresAt: askedAt + row.life }
    })
  }

  /** One round trip, and two more where an expired row is in the way. */
  async create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    const outcome = await this.#run('create', false, async (connection, table) =>
      table.create(connection, key, payload, this.#left(expiresAt)),
    )
    return outcome === 'ok' ? { entry: { payload, expiresAt } } : outcome
  }

  /** One round trip, and one more to tell a conflict from an end. */
  async replace(
    key: string,
    payload: string,
    expiresAt: number,
    base: Entry,
  ): Promise<Written | 'conflict' | 'gone'> {
    const outcome = await this.#run('replace', false, async (connection, table) =>
      table.replace(connection, key, payload, this.#left(expiresAt), base),
    )
    return outcome === 'ok' ? { entry: { payload, expiresAt } } : outcome
  }

  async touch(key: string, expiresAt: number): Promise<'ok' | 'gone'> {
    return this.#run('touch', true, async (connection, table) =>
      table.touch(connection, key, this.#left(expiresAt)),
    )
  }

  async destroy(key: string, base?: Entry): Promise<'ok' | 'conflict' | 'gone'> {
    // To end it once more harms nobody, as long as it does not matter whose version it is.
    return this.#run('destroy', base === undefined, async (connection, table) =>
      table.destroy(connection, key, base),
    )
  }

  /** At most 500 at a time, none while another process sweeps, and nothing that somebody holds a lock on. */
  async sweep(limit: number): Promise<number> {
    return this.#run('sweep', true, async (connection, table) => sweepTable(connection, table, limit))
  }

  async count(): Promise<number> {
    return this.#run('count', true, async (connection, table) => table.count(connection))
  }

  /** Closes the connections that the store opened. */
  async close(): Promise<void> {
    await this.#client.close()
  }

  /** The ms that are left until `expiresAt`. Whoever runs a statement again asks again. */
  #left(expiresAt: number): number {
    return Math.max(-FOREVER, Math.min(FOREVER, Math.ceil(expiresAt - this.#now())))
  }

  async #run<T>(
    verb: string,
    repeatable: boolean,
    work: (connection: PoolConnection, table: MysqlTable) => Promise<T>,
  ): Promise<T> {
    const startedAt = performance.now()
    const table = await this.#found(verb)
    const left = this.#client.timeout - Math.floor(performance.now() - startedAt)
    try {
      return await this.#client.run(verb, left, repeatable, async (connection) => work(connection, table))
    } catch (error) {
      if (outdatesTable(error)) this.#isOutdated = true // so that the next call looks again
      throw error
    }
  }

  /** The table. Those who ask at the same time share one attempt; one that failed is not remembered. */
  async #found(verb: string): Promise<MysqlTable> {
    if (this.#client.isClosed) throw new SessionError('ERR_SESSION_STORE', `mysql: ${verb} after close`)
    if (this.#table !== undefined && !this.#isOutdated) return this.#table
    this.#opening ??= this.#find().finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  async #find(): Promise<MysqlTable> {
    const look = async (connection: PoolConnection): Promise<MysqlSchema> =>
      openSchema(connection, this.#name)
    this.#table = new MysqlTable(await this.#client.run('open', this.#client.timeout, true, look))
    this.#isOutdated = false
    return this.#table
  }
}

function isWhole(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 1
}

function wrong(problem: string): SessionError {
  return new SessionError('ERR_SESSION_OPTIONS', `mysql: ${problem}`)
}
