import { Buffer } from 'node:buffer'
import { SessionError } from '../errors.ts'
import {
  versionOf,
  type Counting,
  type Entry,
  type Store,
  type StoreTraits,
  type Sweeping,
  type Written,
} from '../store.ts'
import { PostgresConnection, type Ask } from './postgres/connection.ts'
import { postgresSettings, type PostgresStoreOptions } from './postgres/options.ts'
import type { PostgresStatements } from './postgres/statements.ts'
import { prepareTable } from './postgres/schema.ts'
import { isOfTable } from './postgres/errors.ts'

export type { PostgresStoreOptions }

/** PostgreSQL would take sixty times as much. A payload beyond this is a mistake, and would keep a connection busy. */
const MAX_BYTES: number = 16 * 1024 * 1024

/** So many rows are locked at a time while sweeping. */
const BATCH = 500

/** Sessions in a table of PostgreSQL 14 or newer, by way of `pg`. The database's clock decides what has expired. */
export class PostgresStore implements Store, Sweeping, Counting {
  readonly traits: StoreTraits = {
    name: 'postgres',
    location: 'server',
    revocable: true,
    shared: true,
    durable: true,
    resolution: 1,
    maxBytes: MAX_BYTES,
  }

  readonly #connection: PostgresConnection
  readonly #table: string
  readonly #timeout: number
  readonly #now: () => number
  #opening: Promise<PostgresStatements> | undefined
  #statements: PostgresStatements | undefined

  /** A store from beego's config string for `postgresql`: a URL, or keywords and values. */
  static fromConfig(config: string, context: { readonly now?: () => number } = {}): PostgresStore {
    return new PostgresStore({ url: config, ...context })
  }

  constructor(options: PostgresStoreOptions) {
    const settings = postgresSettings(options)
    this.#table = settings.table
    this.#timeout = settings.timeout
    this.#now = settings.now
    this.#connection = new PostgresConnection(settings)
  }

  /** Connects, and looks whether the table is one for sessions; makes it if it is missing. */
  async open(): Promise<void> {
    await this.#opened()
  }

  /** A read never writes: every write is a row version, and waits for the disk. So `extendTo` is ignored. */
  async read(key: string): Promise<Entry | undefined> {
    return this.#use('read', true, async (ask, statements) => {
      const askedAt = this.#now()
      const { rows } = await ask(statements.read, [statements.keyOf(key)])
      const [data, left] = rows[0] ?? []
      if (typeof data !== 'string') return undefined
      // Counted from the moment of asking, so that the entry lives at least so long.
      return { payload: statements.payloadOf(data), expiresAt: Math.floor(askedAt + Number(left)) }
    })
  }

  async create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    refuseLarge('create', payload)
    return this.#use('create', false, async (ask, statements) => {
      const values = [statements.keyOf(key), statements.stored(payload), this.#left(expiresAt)]
      const { count } = await ask(statements.create, values)
      return count === 1 ? { entry: { payload, expiresAt } } : 'exists'
    })
  }

  async replace(
    key: string,
    payload: string,
    expiresAt: number,
    base: Entry,
  ): Promise<Written | 'conflict' | 'gone'> {
    refuseLarge('replace', payload)
    return this.#use('replace', false, async (ask, statements) => {
      const stored = statements.keyOf(key)
      const values = [
        stored,
        statements.stored(payload),
        this.#left(expiresAt),
        statements.stored(versionOf(base.payload)),
      ]
      const { count } = await ask(statements.replace, values)
      if (count === 1) return { entry: { payload, expiresAt } }
      return (await isLiving(ask, statements, stored)) ? 'conflict' : 'gone'
    })
  }

  async touch(key: string, expiresAt: number): Promise<'ok' | 'gone'> {
    return this.#use('touch', true, async (ask, statements) => {
      const stored = statements.keyOf(key)
      const { count } = await ask(statements.touch, [stored, this.#left(expiresAt)])
      return count === 1 || (await isLiving(ask, statements, stored)) ? 'ok' : 'gone'
    })
  }

  async destroy(key: string, base?: Entry): Promise<'ok' | 'conflict' | 'gone'> {
    // To end it once more harms nobody, as long as it does not matter whose version it is.
    return this.#use('destroy', base === undefined, async (ask, statements) => {
      const stored = statements.keyOf(key)
      if (base === undefined) {
        const { rows } = await ask(statements.destroy, [stored])
        return rows[0]?.[0] === '1' ? 'ok' : 'gone'
      }
      const { count } = await ask(statements.destroyBase, [
        stored,
        statements.stored(versionOf(base.payload)),
      ])
      if (count === 1) return 'ok'
      return (await isLiving(ask, statements, stored)) ? 'conflict' : 'gone'
    })
  }

  /**
   * Removes up to `limit` expired rows, 500 at a time, and none that somebody is at work on. While another process
   * sweeps it removes nothing. It ends after `timeout` even if there is more to do.
   */
  async sweep(limit: number): Promise<number> {
    const startedAt = performance.now()
    let removed = 0
    while (removed < limit && performance.now() - startedAt < this.#timeout) {
      const batch = Math.min(limit - removed, BATCH)
      const [ended, putOff] = await this.#use('sweep', false, async (ask, statements) => {
        const { rows } = await ask(statements.sweep, [batch])
        return [Number(rows[0]?.[0]), Number(rows[0]?.[1])] as const
      })
      removed += ended
      if (ended + putOff < batch) break
    }
    return removed
  }

  async count(): Promise<number> {
    return this.#use('count', true, async (ask, statements) => {
      const { rows } = await ask(statements.count)
      return Number(rows[0]?.[0])
    })
  }

  async close(): Promise<void> {
    await this.#connection.close()
  }

  /** From now on, in ms; the database counts it down by its own clock. */
  #left(expiresAt: number): number {
    return expiresAt - this.#now()
  }

  /** Does a verb once the table is known. If the table turns out to be another one by now, the next verb looks again. */
  async #use<T>(
    verb: string,
    repeatable: boolean,
    work: (ask: Ask, statements: PostgresStatements) => Promise<T>,
  ): Promise<T> {
    // Without a wait where none is needed, so that a verb that was called before `close` is under way by then.
    const statements = this.#statements ?? (await this.#opened())
    try {
      return await this.#connection.use(verb, repeatable, async (ask) => work(ask, statements))
    } catch (error) {
      if (isOfTable(error)) this.#statements = undefined
      throw error
    }
  }

  /** All who come while the table is being looked at wait for the same look. One that fails is forgotten. */
  async #opened(): Promise<PostgresStatements> {
    this.#opening ??= this.#connection
      .use('open', true, async (ask) => prepareTable(ask, this.#table))
      .finally(() => {
        this.#opening = undefined
      })
    this.#statements = await this.#opening
    return this.#statements
  }
}

/**
 * Why a statement found nothing to change. A version is never used twice, so it does not matter that this is a second look:
 * whoever lives there now has another one.
 */
async function isLiving(ask: Ask, statements: PostgresStatements, stored: string): Promise<boolean> {
  return (await ask(statements.look, [stored])).count === 1
}

function refuseLarge(verb: string, payload: string): void {
  if (payload.length * 3 <= MAX_BYTES) return
  const bytes = Buffer.byteLength(payload)
  if (bytes <= MAX_BYTES) return
  const sizes = `${bytes} bytes exceed the limit of ${MAX_BYTES}`
  throw new SessionError('ERR_SESSION_LIMIT', `postgres: ${verb} refused, ${sizes}`)
}
