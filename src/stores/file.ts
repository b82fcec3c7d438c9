import * as crypto from 'node:crypto'
import * as path from 'node:path'
import { SessionError } from '../errors.ts'
import type {
  Counting,
  Diagnosing,
  Diagnosis,
  Entry,
  Store,
  StoreTraits,
  Sweeping,
  Written,
} from '../store.ts'
import { Capacity } from './file/capacity.ts'
import { systemError } from './file/errors.ts'
import { prepareFolder, refusal } from './file/folder.ts'
import { momentOf, hexVersionOf, type Generation } from './file/generation.ts'
import { FileRecord } from './file/record.ts'
import { Semaphore } from './file/semaphore.ts'
import { FileSweeper } from './file/sweeper.ts'
import { diagnoseDisk } from './shared/disk.ts'
import { closedError, refusedError } from './shared/errors.ts'
import {
  assertFunction,
  assertOptions,
  assertWhole,
  optionError,
  type OptionNames,
} from './shared/options.ts'

/** Options of the {@link FileStore}. */
export interface FileStoreOptions {
  /**
   * The directory of the sessions, and of nothing else. If it is missing, it is created with mode 0700. One that belongs to another
   * user than that of the process, or to which others may write, is refused; Windows has neither.
   */
  readonly folder: string
  /**
   * The largest number of sessions; each takes three inodes. Beyond it `create` is refused with `ERR_SESSION_STORE`, after expired
   * sessions were removed, and all other verbs go on. Several processes may exceed it by a 64th each, at least by 16. `Infinity`: no
   * limit. Default: 1,000,000.
   */
  readonly maxEntries?: number
  /**
   * Whether a write waits until it is on disk, so that a power failure loses no write that was answered. With `false` a
   * killed process still loses nothing, but a power failure may lose the last seconds, and undo a logout. Default: `true`.
   */
  readonly sync?: boolean
  /** The clock, in ms since the epoch. The clocks of processes that share a folder should agree. Default: `Date.now`. */
  readonly now?: () => number
}

const MAX_ENTRIES = 1_000_000
const OPTIONS: OptionNames<FileStoreOptions> = { folder: true, maxEntries: true, sync: true, now: true }

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
export class FileStore implements Store, Sweeping, Counting, Diagnosing {
  readonly traits: StoreTraits = {
    name: 'file',
    location: 'server',
    revocable: true,
    shared: true,
    durable: true,
    resolution: 1,
    maxBytes: Infinity,
  }

  /** From the first use on without symbolic links. */
  #folder: string
  readonly #sync: boolean
  readonly #now: () => number
  readonly #sweeper: FileSweeper
  readonly #capacity: Capacity
  readonly #semaphore = new Semaphore(WIDTH)
  #opening: Promise<void> | undefined
  #closed = false

  constructor(options: FileStoreOptions) {
    assertOptions('file', options, OPTIONS)
    const { folder, maxEntries = MAX_ENTRIES, sync = true, now = Date.now } = options
    if (typeof folder !== 'string' || folder === '')
      throw optionError('file', "folder must name a directory, such as './sessions'")
    assertFunction('file', 'now', now)
    // The address of a server, with its password, would become the name of a directory.
    if (/^[a-z][a-z\d+.-]*:\/\//i.test(folder))
      throw optionError('file', 'folder must be the path of a directory, not a URL')
    this.#folder = path.resolve(folder)
    this.#sync = sync
    this.#now = now
    if (maxEntries !== Infinity) assertWhole('file', 'maxEntries', maxEntries, 1)
    const sweeper = new FileSweeper(
      () => this.#folder,
      now,
      (digest) => this.#record(digest),
    )
    this.#sweeper = sweeper
    this.#capacity = new Capacity({
      maxEntries,
      now,
      count: async () => sweeper.countAll(),
      sweep: async (limit) => sweeper.sweep(limit),
    })
  }

  /** Creates the folder if it is missing; rejects if it cannot be created, read or written. */
  async open(): Promise<void> {
    await this.#opened('open')
  }

  /** Ignores `extendTo`: it would make every read a write. The manager calls `touch` once for many reads. */
  async read(key: string): Promise<Entry | undefined> {
    return this.#run('read', key, async (record) => {
      for (;;) {
        const current = await this.#unexpired(record)
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
    for (;;) {
      const outcome = await this.#run('create', key, async (record) =>
        this.#create(record, payload, expiresAt),
      )
      if (outcome !== 'full') return outcome
      if (!(await this.#attempt('create', async () => this.#capacity.makeRoom())))
        throw refusal(
          'create failed: there is no room: maxEntries sessions are stored, and none of them has expired',
        )
    }
  }

  async #create(
    record: FileRecord,
    payload: string,
    expiresAt: number,
  ): Promise<Written | 'exists' | 'full'> {
    for (;;) {
      if ((await this.#living(record)) !== undefined) return 'exists'
      const next = await this.#capacity.admit(
        async () => record.found(payload, expiresAt),
        (found) => found !== undefined,
      )
      if (next === 'full') return next
      if (next !== undefined) return { entry: { payload, expiresAt: next.expiresAt } }
    }
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
        if (await record.end(current, this.#sync)) {
          this.#capacity.removed(1)
          return 'ok'
        }
      }
    })
  }

  /** Also removes what killed processes left, an hour later. It reads every session, so once a minute is often enough. */
  async sweep(limit: number): Promise<number> {
    return this.#attempt('sweep', async () => {
      const removed = await this.#sweeper.sweep(limit)
      this.#capacity.removed(removed)
      return removed
    })
  }

  /** Reads every session, so it is slow. */
  async count(): Promise<number> {
    return this.#attempt('count', async () => this.#sweeper.count())
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  /** What the disk below the folder is, and how full. */
  async diagnose(): Promise<Diagnosis> {
    await this.#opened('open')
    return { findings: await diagnoseDisk(this.#folder, 'which keeps no order of renames between machines') }
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
      if (!(await record.end(current, false))) continue
      this.#capacity.removed(1)
      return undefined
    }
  }

  /** As {@link #living}, for a read: an expired one is absent, too, where it cannot be removed. */
  async #unexpired(record: FileRecord): Promise<Generation | undefined> {
    const current = await record.look()
    if (current === undefined || current.expiresAt > this.#now()) return current
    try {
      return await this.#living(record)
    } catch (error) {
      if (systemError('read failed', error).answered) return undefined
      throw error
    }
  }

  async #run<T>(verb: string, key: string, task: (record: FileRecord) => Promise<T>): Promise<T> {
    if (!KEY.test(key))
      throw refusedError('file', `${verb} failed: a key has 1 to 128 characters of [0-9a-zA-Z_-]`)
    // Two keys may differ only by case, and a key may be a reserved name such as CON. A digest is always a valid file name.
    const digest = crypto.hash('sha256', key, 'hex')
    return this.#attempt(verb, async () => this.#semaphore.pass(async () => task(this.#record(digest))))
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
      this.#folder = await prepareFolder(this.#folder)
    } catch (error) {
      this.#opening = undefined
      throw systemError('the folder cannot be used', error)
    }
  }
}
