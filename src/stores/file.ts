import * as crypto from 'node:crypto'
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { SessionError } from '../errors.ts'
import type { Counting, Entry, Store, StoreTraits, Sweeping, Written } from '../store.ts'
import { systemError } from './file/errors.ts'
import { momentOf, hexVersionOf, type Generation } from './file/generation.ts'
import { FileRecord } from './file/record.ts'
import { Semaphore } from './file/semaphore.ts'
import { FileSweeper } from './file/sweeper.ts'
import { closedError, storeError } from './shared/errors.ts'
import { optionError } from './shared/options.ts'

/** Options of the {@link FileStore}. */
export interface FileStoreOptions {
  /** The directory of the sessions, and of nothing else. If it is missing, it is created with mode 0700. */
  readonly folder: string
  /**
   * Whether a write waits until it is on disk, so that a power failure loses no write that was answered. With `false` a
   * killed process still loses nothing, but a power failure may lose the last seconds, and undo a logout. Default: `true`.
   */
  readonly sync?: boolean
  /** The clock, in ms since the epoch. The clocks of processes that share a folder should agree. Default: `Date.now`. */
  readonly now?: () => number
}

const KEY = /^[\w-]{1,128}$/

/** How many verbs of one store use the disk at once. Each may hold an open file, and Node has four threads for them. */
const WIDTH = 16

/**
 * Sessions in the files of a folder, for one machine without a database. They survive `kill -9` at any time, and any number
 * of processes may share the folder, without locks. Needs a local POSIX file system.
 *
 * If another program changed or removed a payload, `read` rejects with `ERR_SESSION_PAYLOAD`; the other verbs still work.
 * All other failures are `ERR_SESSION_STORE` with the code of the system in the text, such as `ENOSPC`.
 *
 * ```ts
 * const store = new FileStore({ folder: './sessions' })
 * await store.open() // rejects at startup if the folder cannot be used
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
  readonly #sweeper: FileSweeper
  readonly #semaphore = new Semaphore(WIDTH)
  #opening: Promise<void> | undefined
  #closed = false

  constructor({ folder, sync = true, now = Date.now }: FileStoreOptions) {
    if (folder === '') throw optionError('file', 'folder must name a directory')
    // The address of a server, with its password, would become the name of a directory.
    if (/^[a-z][a-z\d+.-]*:\/\//i.test(folder))
      throw optionError('file', 'folder must be the path of a directory, not a URL')
    this.#folder = path.resolve(folder)
    this.#sync = sync
    this.#now = now
    this.#sweeper = new FileSweeper(this.#folder, now, (digest) => this.#record(digest))
  }

  /** Creates the folder if it is missing; rejects if it cannot be created, read or written. */
  async open(): Promise<void> {
    await this.#opened('open')
  }

  /** Ignores `extendTo`: it would make every read a write. The manager calls `touch` once for many reads. */
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
          'file: the payload of a stored session was removed by another program',
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

  /** Does not wait for the disk: a power failure can lose the extension, but not the session. */
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

  /** Also removes what killed processes left, an hour later. It reads every session, so once a minute is often enough. */
  async sweep(limit: number): Promise<number> {
    return this.#attempt('sweep', async () => this.#sweeper.sweep(limit))
  }

  /** Reads every session, so it is slow. */
  async count(): Promise<number> {
    return this.#attempt('count', async () => this.#sweeper.count())
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #opened(verb: string): Promise<void> {
    if (this.#closed) return Promise.reject(closedError('file', verb))
    this.#opening ??= this.#prepare()
    return this.#opening
  }

  /**
   * The current generation, if it has not expired. An expired one is removed before the caller learns that it is absent, so
   * that a process that has read it earlier cannot extend it afterwards.
   */
  async #living(record: FileRecord): Promise<Generation | undefined> {
    for (;;) {
      const current = await record.look()
      if (current === undefined || current.expiresAt > this.#now()) return current
      if (await record.end(current, false)) return undefined
    }
  }

  async #run<T>(verb: string, key: string, task: (record: FileRecord) => Promise<T>): Promise<T> {
    if (!KEY.test(key))
      throw storeError('file', `${verb} failed: a key has 1 to 128 characters of [0-9a-zA-Z_-]`)
    // Two keys may differ only by case, and a key may be a reserved name such as CON. A digest is always a valid file name.
    const record = this.#record(crypto.hash('sha256', key, 'hex'))
    return this.#attempt(verb, async () => this.#semaphore.pass(async () => task(record)))
  }

  async #attempt<T>(verb: string, task: () => Promise<T>): Promise<T> {
    await this.#opened(verb)
    try {
      return await task()
    } catch (error) {
      throw systemError(`${verb} failed`, error)
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
      throw systemError('the folder cannot be used', error)
    }
  }
}
