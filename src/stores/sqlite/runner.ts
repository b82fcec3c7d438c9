import { setTimeout as sleep } from 'node:timers/promises'
import { SessionError } from '../../errors.ts'
import { msLeft, startDeadline, type Deadline } from '../shared/deadlines.ts'
import { closedError, refusedError } from '../shared/errors.ts'
import { isInTransaction, type SqliteClient } from './client.ts'
import { configure, openFile, type OwnClient } from './connection.ts'
import { inodeOf } from './file.ts'
import { isBusy, outdatesTable, sqliteCodeOf, sqliteError } from './errors.ts'
import type { SqliteSettings } from './options.ts'
import { openTable } from './schema.ts'
import type { SqliteStatements } from './statements.ts'

/** What `synchronous` is set to on a connection, which two stores may use. */
const levels = new WeakMap<SqliteClient, 'FULL' | 'NORMAL'>()

/** What a verb does with the table, at once. */
type Step<T> = (table: SqliteStatements) => T

/** A write that waits for its turn. */
interface Write {
  readonly verb: string
  readonly deadline: Deadline
  /** Whether it has to wait for the disk. */
  readonly isDurable: boolean
  /** Does it; what it returns settles the verb once it is committed. */
  run(table: SqliteStatements): () => void
  fail(error: unknown): void
}

/** The most writes in one transaction, which keeps the event loop and other processes waiting. */
const MOST_WRITES = 64

/** The longest pause between two tries, in ms, while another process keeps the database locked. */
const LONGEST_PAUSE = 20

/** How often the store looks whether its file is still there, in ms. */
const LOOK_PAUSE = 1_000

/**
 * Runs the verbs on the one connection of a store. Reads are done at once. Writes that are asked for in the same turn of the event
 * loop are committed as one transaction, and so wait for the disk once. While another process writes, they wait without blocking
 * this one, each until its deadline.
 */
export class SqliteRunner {
  readonly #settings: SqliteSettings
  #client: SqliteClient | undefined
  /** The client, if the store has opened it. */
  #own: OwnClient | undefined
  #table: SqliteStatements | undefined
  #opening: Promise<void> | undefined
  #queue: Write[] = []
  #flushing: Promise<void> | undefined
  #reading = 0
  #onIdle: (() => void) | undefined
  /** The file that the store has opened, and when it was looked at last. */
  #inode: bigint | undefined
  #lookedAt = 0
  #isClosed = false

  constructor(settings: SqliteSettings) {
    this.#settings = settings
  }

  /** Reads, or does what changes nothing. Another process is in the way only while it repairs the database. */
  async read<T>(verb: string, step: Step<T>): Promise<T> {
    if (this.#isClosed) throw closedError('sqlite', verb)
    const deadline = startDeadline('timeout', this.#settings.timeout)
    this.#reading += 1
    try {
      for (let tries = 0; ; tries += 1) {
        if (this.#isUnopened()) await this.#connected(verb)
        try {
          return step(this.#opened())
        } catch (error) {
          this.#forget(error)
          if (!isBusy(error)) throw sqliteError(verb, error)
          if (msLeft(deadline) <= 0) throw lockedError(verb, deadline)
        }
        await pause(tries)
      }
    } finally {
      this.#reading -= 1
      if (this.#reading === 0) this.#onIdle?.()
    }
  }

  /** Writes, as one step of a transaction. `isDurable` says whether the write waits for the disk, if the store does so at all. */
  async write<T>(verb: string, isDurable: boolean, step: Step<T>): Promise<T> {
    if (this.#isClosed) throw closedError('sqlite', verb)
    const deadline = startDeadline('timeout', this.#settings.timeout)
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({
        verb,
        deadline,
        isDurable: isDurable && this.#settings.sync,
        run(table) {
          const result = step(table)
          return () => resolve(result)
        },
        fail: (error) => reject(sqliteError(verb, error)),
      })
      this.#flushing ??= this.#flush()
    })
  }

  /** Refuses every verb from now on, waits for those under way, empties the log into the database and closes what was opened here. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#flushing
    if (this.#reading > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve))
    try {
      this.#own?.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    } catch {
      // Another process uses the log. It is emptied later, or read by the next one that opens the database.
    }
    this.#drop()
  }

  /** Commits what is in the queue, until it is empty. */
  async #flush(): Promise<void> {
    for (let tries = 0; this.#queue.length > 0;) {
      if (this.#isUnopened()) await this.#connectedForWrites()
      // What the other requests of this turn of the event loop write comes into the same transaction.
      else await new Promise((resolve) => setImmediate(resolve))
      // A read may have found meanwhile that the file is another one.
      const client = this.#client
      if (client === undefined) continue
      const batch = this.#queue.splice(0, MOST_WRITES)
      if (this.#commit(client, batch)) {
        tries = 0
        continue
      }
      // Another process has the lock: those that may wait keep their places.
      const waiting = batch.filter((write) => {
        if (msLeft(write.deadline) > 0) return true
        write.fail(lockedError(write.verb, write.deadline))
        return false
      })
      this.#queue = [...waiting, ...this.#queue]
      await pause((tries += 1))
    }
    this.#flushing = undefined
  }

  /** Does the writes. `false` if none of them was done, since another connection has the lock. */
  #commit(client: SqliteClient, batch: readonly Write[]): boolean {
    if (batch.length > 1) {
      const outcome = this.#commitTogether(client, batch)
      if (outcome !== 'separately') return outcome === 'done'
    }
    for (const [at, write] of batch.entries()) {
      const outcome = this.#commitAlone(client, write)
      if (outcome === 'done') continue
      if (at === 0) return false
      this.#queue = [...batch.slice(at), ...this.#queue]
      return true
    }
    return true
  }

  /** All in one transaction. `'separately'` if one of them failed, and none was done. */
  #commitTogether(client: SqliteClient, batch: readonly Write[]): 'done' | 'busy' | 'separately' {
    let [hasBegun, isCommitting] = [false, false]
    try {
      const table = this.#opened()
      this.#sync(
        client,
        batch.some(({ isDurable }) => isDurable),
      )
      client.exec('BEGIN IMMEDIATE')
      hasBegun = true
      const settle = batch.map((write) => write.run(table))
      isCommitting = true
      client.exec('COMMIT')
      for (const each of settle) each()
      return 'done'
    } catch (error) {
      if (hasBegun) rollBack(client)
      this.#forget(error)
      if (isBusy(error)) return 'busy'
      const failure = sqliteError('commit', error)
      if (!isCommitting || failure.answered) return 'separately'
      // It is not known what a disk that failed has written.
      for (const write of batch) write.fail(error)
      return 'done'
    }
  }

  #commitAlone(client: SqliteClient, write: Write): 'done' | 'busy' {
    try {
      const table = this.#opened()
      this.#sync(client, write.isDurable)
      withRoom(client, () => write.run(table))()
    } catch (error) {
      this.#forget(error)
      if (isBusy(error)) return 'busy'
      write.fail(error)
    }
    return 'done'
  }

  /** Whether commits wait for the disk from now on. */
  #sync(client: SqliteClient, isDurable: boolean): void {
    const level = isDurable ? 'FULL' : 'NORMAL'
    if (levels.get(client) === level) return
    levels.delete(client)
    client.exec(`PRAGMA synchronous = ${level}`)
    levels.set(client, level)
  }

  /** The table, opened if it is not. Throws what the driver throws. */
  #opened(): SqliteStatements {
    const client = this.#client
    if (client === undefined) throw new Error('the connection is not open')
    if (isInTransaction(client)) {
      // After the failure of a disk a transaction of the store may be left.
      if (client === this.#own) rollBack(client)
      else
        throw refusedError(
          'sqlite',
          'the client is in a transaction of the program: give the store a connection of its own',
        )
    }
    if (this.#table === undefined) {
      configure(client, this.#settings)
      this.#table = openTable(client, this.#settings.table)
    }
    return this.#table
  }

  /** After a change of the table it is looked at again. */
  #forget(error: unknown): void {
    if (outdatesTable(error)) this.#table = undefined
  }

  async #connectedForWrites(): Promise<void> {
    try {
      await this.#connected('open')
    } catch (error) {
      for (const write of this.#queue.splice(0)) write.fail(error)
    }
  }

  /** Concurrent verbs share one attempt to connect. After a failure the next verb makes a new one. */
  async #connected(verb: string): Promise<void> {
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined
    })
    try {
      await this.#opening
    } catch (error) {
      throw error instanceof SessionError ? error : sqliteError(verb, error)
    }
  }

  async #open(): Promise<void> {
    const { source } = this.#settings
    if (typeof source !== 'string') {
      this.#client = source
      return
    }
    const { client, inode } = await openFile(source)
    this.#own = client
    this.#client = client
    this.#inode = inode
    this.#lookedAt = performance.now()
  }

  /**
   * Whether the connection must be opened first. Once a second it is looked whether the file is still the one that was opened: after
   * it was removed or replaced, this process would go on with a file that has no name and that no other process sees.
   */
  #isUnopened(): boolean {
    if (this.#client === undefined) return true
    const { source } = this.#settings
    if (this.#own === undefined || typeof source !== 'string') return false
    const now = performance.now()
    if (now - this.#lookedAt < LOOK_PAUSE) return false
    this.#lookedAt = now
    if (inodeOf(source) === this.#inode) return false
    this.#drop()
    return true
  }

  #drop(): void {
    const own = this.#own
    this.#own = undefined
    this.#client = undefined
    this.#table = undefined
    try {
      own?.close()
    } catch {
      // It was closed already.
    }
  }
}

/**
 * Does a write, once more if the log could not grow: when the log was copied into the database, it begins anew, in the room that
 * it has. So what makes nothing larger, such as a logout, succeeds on a full disk.
 */
function withRoom<T>(client: SqliteClient, run: () => T): T {
  try {
    return run()
  } catch (error) {
    if (sqliteCodeOf(error) !== 'SQLITE_FULL') throw error
    try {
      client.prepare('PRAGMA wal_checkpoint(RESTART)').all()
    } catch {
      throw error
    }
    return run()
  }
}

/** After an error SQLite may or may not have ended the transaction itself. */
function rollBack(client: SqliteClient): void {
  try {
    client.exec('ROLLBACK')
  } catch {
    // There was none.
  }
}

/** Waits a while that is random, so that processes which wait for each other do not keep step. */
async function pause(tries: number): Promise<void> {
  await sleep(1 + Math.random() * Math.min(2 ** tries, LONGEST_PAUSE))
}

function lockedError(verb: string, { ms }: Deadline): SessionError {
  return refusedError(
    'sqlite',
    `${verb} failed: another process kept the database locked for ${ms} ms (SQLITE_BUSY)`,
  )
}
