import { Buffer } from 'node:buffer'
import * as crypto from 'node:crypto'
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
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
import { diagnoseDisk } from './shared/disk.ts'
import { assertFits } from './shared/payload-limit.ts'
import { parseSqliteConfig } from './sqlite/config.ts'
import { judgeCheck, judgeLog } from './sqlite/diagnosis.ts'
import { sqliteSettings, type SqliteStoreOptions } from './sqlite/options.ts'
import { SqliteRunner } from './sqlite/runner.ts'
import type { SqliteStatements } from './sqlite/statements.ts'

export type { SqliteStoreOptions }
export type { SqliteClient, SqliteStatement, SqliteValue } from './sqlite/client.ts'

/** SQLite allows more, but a larger payload is a mistake, and keeps the process busy for long. */
const MAX_BYTES: number = 16 * 1024 * 1024

/** How many rows one transaction of a sweep removes, since this process and all others wait for it. */
const BATCH = 100

/**
 * Sessions in a database of SQLite, which is a file: for one machine without a server. Any number of processes may share it.
 * Needs a local file system, and `node:sqlite` (Node.js 22.13 or newer) or a client.
 *
 * ```ts
 * const store = new SqliteStore({ path: './sessions/sessions.db' })
 * await store.open() // rejects at startup if the database cannot be used
 * ```
 */
export class SqliteStore implements Store, Sweeping, Counting, Diagnosing {
  /** The option `table`. */
  readonly namespace: string

  readonly traits: StoreTraits = {
    name: 'sqlite',
    location: 'server',
    revocable: true,
    shared: true,
    durable: true,
    resolution: 1,
    maxBytes: MAX_BYTES,
  }

  readonly #runner: SqliteRunner
  readonly #now: () => number

  /**
   * A store from the config string of a provider: the path of a file, `sqlite:./sessions/sessions.db?sync=false`, or JSON such as
   * `{"path":"./sessions/sessions.db","table":"session"}`. The database is opened at the first verb.
   */
  static fromConfig(config: string, context: { readonly now?: () => number } = {}): SqliteStore {
    return new SqliteStore({ ...parseSqliteConfig(config), ...context })
  }

  /** @throws SessionError `ERR_SESSION_OPTIONS` if an option is wrong */
  constructor(options: SqliteStoreOptions) {
    const settings = sqliteSettings(options)
    this.namespace = settings.table
    this.#now = settings.now
    this.#runner = new SqliteRunner(settings)
  }

  /**
   * Opens the database, finds or creates the table, and runs the statements of the verbs on a key that does not exist; rejects if the
   * database is read-only.
   */
  async open(): Promise<void> {
    const key = `open-${crypto.randomBytes(8).toString('hex')}`
    await this.#runner.write('open', false, (table) => {
      table.run('read', key, 0)
      table.run('touch', 1, key, 0, 1)
      table.run('destroy', key, 0)
    })
  }

  /** Ignores `extendTo`: it would make every read a write. The manager calls `touch` once for many reads. */
  async read(key: string): Promise<Entry | undefined> {
    return this.#runner.read('read', (table) => {
      const [row] = table.run('read', key, this.#now())
      if (row === undefined) return undefined
      const { session_data: data, session_expiry: expiry } = Object(row)
      return { payload: textOf(data), expiresAt: Number(expiry) }
    })
  }

  async create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    assertFits(this.traits, 'create', payload)
    const moment = momentOf(expiresAt)
    return this.#runner.write('create', true, (table) => {
      const rows = table.run('create', key, Buffer.from(payload), moment, this.#now())
      return rows.length === 1 ? { entry: { payload, expiresAt: moment } } : 'exists'
    })
  }

  async replace(
    key: string,
    payload: string,
    expiresAt: number,
    base: Entry,
  ): Promise<Written | 'conflict' | 'gone'> {
    assertFits(this.traits, 'replace', payload)
    const moment = momentOf(expiresAt)
    return this.#runner.write('replace', true, (table) => {
      const now = this.#now()
      const version = Buffer.from(versionOf(base.payload))
      const rows = table.run('replace', Buffer.from(payload), moment, key, now, version)
      if (rows.length === 1) return { entry: { payload, expiresAt: moment } }
      return isAlive(table, key, now) ? 'conflict' : 'gone'
    })
  }

  /** Does not wait for the disk: a power failure can lose the extension, but not the session. */
  async touch(key: string, expiresAt: number): Promise<'ok' | 'gone'> {
    const moment = momentOf(expiresAt)
    return this.#runner.write('touch', false, (table) => {
      const now = this.#now()
      const rows = table.run('touch', moment, key, now, moment)
      return rows.length === 1 || isAlive(table, key, now) ? 'ok' : 'gone'
    })
  }

  async destroy(key: string, base?: Entry): Promise<'ok' | 'conflict' | 'gone'> {
    return this.#runner.write('destroy', true, (table) => {
      const now = this.#now()
      if (base === undefined) {
        const [row] = table.run('destroy', key, now)
        return Number(Object(row).done) === 1 ? 'ok' : 'gone'
      }
      const rows = table.run('destroyBase', key, now, Buffer.from(versionOf(base.payload)))
      if (rows.length === 1) return 'ok'
      return isAlive(table, key, now) ? 'conflict' : 'gone'
    })
  }

  /** Removes up to `limit` expired rows, 100 in a transaction; between two of them other work is done. */
  async sweep(limit: number): Promise<number> {
    let removed = 0
    while (removed < limit) {
      const batch = Math.min(limit - removed, BATCH)
      const rows = await this.#runner.write(
        'sweep',
        false,
        (table) => table.run('sweep', this.#now(), batch).length,
      )
      removed += rows
      if (rows < batch) break
    }
    return removed
  }

  /** Reads the index of all sessions, and nothing else is done meanwhile: some 20 ms for a million of them. */
  async count(): Promise<number> {
    return this.#runner.read('count', (table) => {
      const [row] = table.run('count', this.#now())
      return Number(Object(row).done)
    })
  }

  /** Reads the whole database, so it is slow; and looks at its log and its disk. */
  async diagnose(): Promise<Diagnosis> {
    const { file, keys, damage } = await this.#runner.read('diagnose', (table) => {
      const main = table
        .query('PRAGMA database_list')
        .map(Object)
        .find(({ name }) => name === 'main')
      const check = judgeCheck(table.query('PRAGMA quick_check(1)'))
      const rows = check.ok ? table.run('sample', this.#now()) : []
      return {
        file: String(main?.file),
        keys: rows.map((row) => String(Object(row).session_key)),
        damage: check,
      }
    })
    const log = await fs.stat(`${file}-wal`).catch(() => undefined)
    const disk = await diagnoseDisk(path.dirname(file), 'whose locks are not reliable')
    return { findings: [damage, judgeLog(log?.size ?? 0), ...disk], keys }
  }

  /** Waits for the verbs under way, and closes the database if the store has opened it. */
  async close(): Promise<void> {
    await this.#runner.close()
  }
}

/**
 * Whether there is a living row. It explains why a statement matched none: a version is never used twice, so a row that lives
 * now had another version then, too.
 */
function isAlive(table: SqliteStatements, key: string, now: number): boolean {
  return table.run('look', key, now).length === 1
}

/** A payload, which drivers return as a `Buffer`, another view or an `ArrayBuffer`. */
function textOf(data: unknown): string {
  if (data instanceof Uint8Array) return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString()
  return data instanceof ArrayBuffer ? Buffer.from(data).toString() : ''
}

/** A time as the column can hold it: whole, not before `expiresAt`, and exact as a number. */
function momentOf(expiresAt: number): number {
  return Math.min(Math.max(Math.ceil(expiresAt), 0), Number.MAX_SAFE_INTEGER) || 0
}
