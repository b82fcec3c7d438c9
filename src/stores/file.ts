import * as crypto from 'node:crypto'
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { SessionError } from '../errors.ts'
import type { Counting, Entry, Store, StoreTraits, Sweeping, Written } from '../store.ts'
import { systemError } from './shared/errno.ts'
import { Semaphore } from './shared/semaphore.ts'
import { momentOf, hexVersionOf, type Generation } from './file/generation.ts'
import { FileRecord } from './file/record.ts'
import { Sweeper } from './file/sweeper.ts'

export interface FileStoreOptions {
  /** Where the sessions are kept, for this store alone. Made with mode 0700 if it is not there. */
  readonly folder: string
  /**
   * Whether a write waits until the disk has it, so that a power cut undoes no answer. Default `true`. With `false` a
   * killed process still loses nothing; a power cut may cost the last seconds, and undo a logout.
   */
  readonly sync?: boolean
  /** The clock, in ms since the epoch. Default `Date.now`. Processes that share a folder should agree on the time. */
  readonly now?: () => number
}

const KEY = /^[\w-]{1,128}$/

/** How many verbs of one store are at the disk at once: each may hold an open file, and four threads serve them all. */
const WIDTH = 16

/**
 * Sessions in the files of a folder, for one machine without a database: they survive `kill -9` at any instant, and any
 * number of processes may share the folder, without locks. Needs a local POSIX file system.
 *
 * What is damaged from outside is told: `read` rejects with `ERR_SESSION_PAYLOAD`, and the other verbs work on.
 * All other trouble is `ERR_SESSION_STORE` with the system's code in its text, `ENOSPC` for example.
 *
 * ```ts
 * const store = new FileStore({ folder: './sessions' })
 * await store.open() // rejects here, at start, if the folder cannot be used
 * ```
 */
export class FileStore implements Store, Sweeping, Counting {
  readonly traits: StoreTraits = {
    name: 'file',
    location: 'server',
    revocable: true,
    shared: true,
    durable: true,
    resolution: 1,
    maxBytes: Infinity,
  }

  readonly #folder: string
  readonly #sync: boolean
  readonly #now: () => number
  readonly #sweeper: Sweeper
  readonly #semaphore = new Semaphore(WIDTH)
  #opening: Promise<void> | undefined
  #closed = false

  constructor({ folder, sync = true, now = Date.now }: FileStoreOptions) {
    if (folder === '') throw new SessionError('ERR_SESSION_OPTIONS', 'folder: must name a directory')
    this.#folder = path.resolve(folder)
    this.#sync = sync
    this.#now = now
    this.#sweeper = new Sweeper(this.#folder, now, (digest) => this.#record(digest))
  }

  /** Makes the folder if need be, and rejects if it cannot be made, read or written. */
  async open(): Promise<void> {
    if (this.#closed) throw new SessionError('ERR_SESSION_STORE', 'file: the store is closed')
    this.#opening ??= this.#prepare()
    return this.#opening
  }

  /** Does not extend the life: that would be a write for each read. The manager's `touch` is one for many. */
  async read(key: string): Promise<Entry | undefined> {
    return this.#run('read', key, async (record) => {
      for (;;) {
        const current = await this.#living(record)
        if (current === undefined) return undefined
        const payload = await record.payload(current)
        if (payload !== undefined) return { payload, expiresAt: current.expiresAt }
        if ((await record.look())?.nonce !== current.nonce) continue
        throw new SessionError(
          'ERR_SESSION_PAYLOAD',
          'file: the payload of a stored session was removed from outside',
        )
      }
    })
  }

  async create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    return this.#run('create', key, async (record) => {
      for (;;) {
        if ((await this.#living(record)) !== undefined) return 'exists'
        const next = await record.found(payload, expiresAt)
        if (next !== undefined) return { entry: { payload, expiresAt: next.expiresAt } }
      }
    })
  }

  async replace(
    key: string,
    payload: string,
    expiresAt: number,
    base: Entry,
  ): Promise<Written | 'conflict' | 'gone'> {
    return this.#run('replace', key, async (record) => {
      for (;;) {
        const current = await this.#living(record)
        if (current === undefined) return 'gone'
        if (current.version !== hexVersionOf(base.payload)) return 'conflict'
        const next = await record.replace(current, payload, expiresAt)
        if (next !== undefined) return { entry: { payload, expiresAt: next.expiresAt } }
      }
    })
  }

  /** Does not wait for the disk: what a power cut may cost is the extension, not the session. */
  async touch(key: string, expiresAt: number): Promise<'ok' | 'gone'> {
    const moment = momentOf(expiresAt)
    return this.#run('touch', key, async (record) => {
      for (;;) {
        const current = await this.#living(record)
        if (current === undefined) return 'gone'
        if (current.expiresAt >= moment) return 'ok'
        if (await record.move(current, { ...current, expiresAt: moment })) return 'ok'
      }
    })
  }

  async destroy(key: string, base?: Entry): Promise<'ok' | 'conflict' | 'gone'> {
    return this.#run('destroy', key, async (record) => {
      for (;;) {
        const current = await this.#living(record)
        if (current === undefined) return 'gone'
        if (base !== undefined && current.version !== hexVersionOf(base.payload)) return 'conflict'
        if (await record.end(current, this.#sync)) return 'ok'
      }
    })
  }

  /** Also clears away what killed processes have left, an hour later. Looks at every session: once a minute is plenty. */
  async sweep(limit: number): Promise<number> {
    return this.#attempt('sweep', async () => this.#sweeper.sweep(limit))
  }

  /** Looks at every session, so it takes its time. */
  async count(): Promise<number> {
    return this.#attempt('count', async () => this.#sweeper.count())
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  /** The current generation, if it lives. One that has expired is ended before anybody is told that it is absent, so that
   *  nobody who looked at it earlier can extend it afterwards. */
  async #living(record: FileRecord): Promise<Generation | undefined> {
    for (;;) {
      const current = await record.look()
      if (current === undefined || current.expiresAt > this.#now()) return current
      if (await record.end(current, false)) return undefined
    }
  }

  async #run<T>(verb: string, key: string, task: (record: FileRecord) => Promise<T>): Promise<T> {
    if (!KEY.test(key))
      throw new SessionError('ERR_SESSION_STORE', `file: ${verb} failed: not a key of the contract`)
    // Keys may differ by case alone, be one character long, or be called CON. Their digests are file names anywhere.
    const record = this.#record(crypto.hash('sha256', key, 'hex'))
    return this.#attempt(verb, async () => this.#semaphore.pass(async () => task(record)))
  }

  async #attempt<T>(verb: string, task: () => Promise<T>): Promise<T> {
    await this.open()
    try {
      return await task()
    } catch (error) {
      throw systemError(`file: ${verb} failed`, error)
    }
  }

  #record(digest: string): FileRecord {
    return new FileRecord(path.join(this.#folder, digest.slice(0, 2)), digest, this.#sync)
  }

  async #prepare(): Promise<void> {
    try {
      await fs.mkdir(this.#folder, { recursive: true, mode: 0o700 })
      await fs.access(this.#folder, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK)
    } catch (error) {
      this.#opening = undefined
      throw systemError(`file: the folder ${JSON.stringify(this.#folder)} cannot be used`, error)
    }
  }
}
