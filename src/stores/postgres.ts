import { randomBytes } from 'node:crypto'
import type { Pool, PoolClient } from 'pg'
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
import { execute, PostgresDriver } from './postgres/connection.ts'
import { diagnosePostgres } from './postgres/diagnosis.ts'
import { postgresSettings, type PostgresStoreOptions } from './postgres/options.ts'
import { openTable } from './postgres/schema.ts'
import type { PostgresStatements } from './postgres/statements.ts'
import { assertFits } from './shared/payload-limit.ts'
import { PooledRunner } from './shared/pooled-runner.ts'

export type { PostgresStoreOptions }

/** PostgreSQL allows 64 times as much, but a larger payload is a mistake, and would occupy a connection for long. */
const MAX_BYTES: number = 16 * 1024 * 1024

/** How many rows one statement of a sweep locks. */
const BATCH = 500

/** Sessions in a table of PostgreSQL 14 or newer, with `pg`. The database's clock decides what has expired. */
export class PostgresStore implements Store, Sweeping, Counting, Diagnosing {
  /** The option `table`. */
  readonly namespace: string

  readonly traits: StoreTraits = {
    name: 'postgres',
    location: 'server',
    revocable: true,
    shared: true,
    durable: true,
    resolution: 1,
    maxBytes: MAX_BYTES,
  }

  readonly #runner: PooledRunner<Pool, PoolClient, PostgresStatements>
  readonly #timeout: number
  readonly #now: () => number

  /** A store from beego's config string for `postgresql`: a URL, or keywords and values. It connects at its first verb. */
  static fromConfig(config: string, context: { readonly now?: () => number } = {}): PostgresStore {
    return new PostgresStore({ url: config, ...context })
  }

  /** @throws SessionError `ERR_SESSION_OPTIONS` if an option is wrong, or `url` malformed */
  constructor(options: PostgresStoreOptions) {
    const settings = postgresSettings(options)
    const { table, prepare, timeout, now } = settings
    this.namespace = table
    this.#timeout = timeout
    this.#now = now
    this.#runner = new PooledRunner(new PostgresDriver(settings), timeout, async (client) =>
      openTable(client, table, prepare),
    )
  }

  /**
   * Connects, finds or creates the table, and runs the statements of the verbs on a key that does not exist; rejects if the server is
   * read-only, or the user has not all rights.
   */
  async open(): Promise<void> {
    await this.#runner.open(proveVerbs)
  }

  /** Ignores `extendTo`: every write of PostgreSQL makes a new row version, and waits for the disk. */
  async read(key: string): Promise<Entry | undefined> {
    return this.#runner.run('read', true, async (client, table) => {
      const askedAt = this.#now()
      const { rows } = await execute(client, table.read, [table.keyOf(key)])
      const [data, left] = rows[0] ?? []
      if (typeof data !== 'string') return undefined
      // Counted from the time of the request, so that the entry lives at least so long.
      return { payload: table.payloadOf(data), expiresAt: Math.floor(askedAt + Number(left)) }
    })
  }

  async create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    assertFits(this.traits, 'create', payload)
    return this.#runner.run('create', false, async (client, table) => {
      const values = [table.keyOf(key), table.stored(payload), this.#left(expiresAt)]
      const { count } = await execute(client, table.create, values)
      return count === 1 ? { entry: { payload, expiresAt } } : 'exists'
    })
  }

  async replace(
    key: string,
    payload: string,
    expiresAt: number,
    base: Entry,
  ): Promise<Written | 'conflict' | 'gone'> {
    assertFits(this.traits, 'replace', payload)
    return this.#runner.run('replace', false, async (client, table) => {
      const stored = table.keyOf(key)
      const version = table.stored(versionOf(base.payload))
      const values = [stored, table.stored(payload), this.#left(expiresAt), version]
      const { count } = await execute(client, table.replace, values)
      if (count === 1) return { entry: { payload, expiresAt } }
      return (await isAlive(client, table, stored)) ? 'conflict' : 'gone'
    })
  }

  async touch(key: string, expiresAt: number): Promise<'ok' | 'gone'> {
    return this.#runner.run('touch', true, async (client, table) => {
      const stored = table.keyOf(key)
      const { count } = await execute(client, table.touch, [stored, this.#left(expiresAt)])
      return count === 1 || (await isAlive(client, table, stored)) ? 'ok' : 'gone'
    })
  }

  async destroy(key: string, base?: Entry): Promise<'ok' | 'conflict' | 'gone'> {
    // Without `base` it is repeatable: it does no harm to remove the entry twice.
    return this.#runner.run('destroy', base === undefined, async (client, table) => {
      const stored = table.keyOf(key)
      if (base === undefined) {
        const { rows } = await execute(client, table.destroy, [stored])
        return rows[0]?.[0] === '1' ? 'ok' : 'gone'
      }
      const values = [stored, table.stored(versionOf(base.payload))]
      const { count } = await execute(client, table.destroyBase, values)
      if (count === 1) return 'ok'
      return (await isAlive(client, table, stored)) ? 'conflict' : 'gone'
    })
  }

  /**
   * Removes up to `limit` expired rows, 500 at a time. Skips locked rows, and removes nothing while another process sweeps.
   * It stops after `timeout` even if there is more to remove.
   */
  async sweep(limit: number): Promise<number> {
    const startedAt = performance.now()
    let removed = 0
    while (removed < limit && performance.now() - startedAt < this.#timeout) {
      const batch = Math.min(limit - removed, BATCH)
      const [ended, putOff] = await this.#runner.run('sweep', false, async (client, table) => {
        const { rows } = await execute(client, table.sweep, [batch])
        return [Number(rows[0]?.[0]), Number(rows[0]?.[1])] as const
      })
      removed += ended
      if (ended + putOff < batch) break
    }
    return removed
  }

  async count(): Promise<number> {
    return this.#runner.run('count', true, async (client, table) => {
      const { rows } = await execute(client, table.count)
      return Number(rows[0]?.[0])
    })
  }

  /** What the server acknowledges, whether it is the primary, and whose rows there are. */
  async diagnose(): Promise<Diagnosis> {
    return this.#runner.run('diagnose', true, async (client, table) => {
      const { rows } = await execute(client, table.diagnosis)
      return diagnosePostgres(rows[0] ?? [])
    })
  }

  /** Waits for the verbs under way, and closes the connections that the store opened. */
  async close(): Promise<void> {
    await this.#runner.close()
  }

  /** The ms that are left until `expiresAt`, at the time of the call. */
  #left(expiresAt: number): number {
    return expiresAt - this.#now()
  }
}

/** Does what the verbs do, with no effect, so that it is refused where they would be. */
async function proveVerbs(client: PoolClient, table: PostgresStatements): Promise<void> {
  const stored = table.keyOf(`open-${randomBytes(8).toString('hex')}`)
  await execute(client, table.read, [stored])
  await execute(client, table.insertNothing)
  await execute(client, table.touch, [stored, 0])
  await execute(client, table.destroy, [stored])
}

/**
 * Whether there is a living row. It explains why a statement matched none: a version is never used twice, so a row that lives
 * now had another version then, too.
 */
async function isAlive(client: PoolClient, table: PostgresStatements, stored: string): Promise<boolean> {
  return (await execute(client, table.look, [stored])).count === 1
}
