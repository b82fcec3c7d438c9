import * as crypto from 'node:crypto'
import { constants } from 'node:fs'
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { SessionError } from '../../errors.ts'
import { errnoOf, refusedError } from '../shared/errors.ts'
import { unless } from './errors.ts'
import { checkDirectory } from './folder.ts'
import { generationOf, momentOf, nameOf, hexVersionOf, type Generation } from './generation.ts'

/**
 * The files of one key:
 *
 * - `<shelf>/<digest>/<generation>` – the home. While the session exists it contains one entry: an empty file whose name
 *   is the generation.
 * - `<shelf>/<digest>.<nonce>` – the payload. Once a generation names it, it never changes.
 * - `<shelf>/<digest>.<nonce>.new` – a staged home, not yet in place; `.old` after a sweep took it for a leftover.
 *
 * Every method is safe with any number of processes, however long one of them pauses between two steps, by three rules.
 * A home appears by a rename, which the system refuses if there is a generation already. Its entry then changes only by
 * renaming or unlinking the generation that was read. And a payload file is written after that read.
 */
export class FileRecord {
  readonly home: string
  readonly #shelf: string
  readonly #sync: boolean

  constructor(shelf: string, digest: string, sync: boolean) {
    this.home = path.join(shelf, digest)
    this.#shelf = shelf
    this.#sync = sync
  }

  fileOf(nonce: string): string {
    return `${this.home}.${nonce}`
  }

  stagingOf(nonce: string): string {
    return `${this.home}.${nonce}.new`
  }

  retiredOf(nonce: string): string {
    return `${this.home}.${nonce}.old`
  }

  /** The current generation; `undefined` if there is no home, or an empty one. */
  async look(): Promise<Generation | undefined> {
    const [stats, names = []] = await Promise.all([
      unless(fs.lstat(this.home), 'ENOENT'),
      unless(fs.readdir(this.home), 'ENOENT', 'ENOTDIR'),
    ])
    if (stats === undefined) return undefined
    checkDirectory(stats, 'the directory of a session')
    return names.map(generationOf).find((generation) => generation !== undefined)
  }

  /** The payload of `generation`, or `undefined` if its file is gone; then the caller looks again. */
  async payload(generation: Generation): Promise<string | undefined> {
    const flag = constants.O_RDONLY | constants.O_NOFOLLOW
    const bytes = await unless(fs.readFile(this.fileOf(generation.nonce), { flag }), 'ENOENT')
    if (bytes === undefined) return undefined
    if (checksumOf(bytes) !== generation.checksum) {
      throw new SessionError(
        'ERR_SESSION_PAYLOAD',
        'file: the payload of a stored session was changed by another program',
      )
    }
    return bytes.toString()
  }

  /** Stores the first generation. `undefined` if another process was faster; then the caller looks again. */
  async found(payload: string, expiresAt: number): Promise<Generation | undefined> {
    const { generation, bytes } = prepare(payload, expiresAt)
    const staging = this.stagingOf(generation.nonce)
    try {
      await this.#stage(staging)
      // ENOENT means that this process paused so long that a sweep took the staged home for a leftover.
      const staged = await succeeds(
        this.#write(path.join(staging, nameOf(generation)), Buffer.alloc(0)),
        'ENOENT',
      )
      await this.#settle(staging)
      await this.#write(this.fileOf(generation.nonce), bytes)
      if (staged && (await succeeds(fs.rename(staging, this.home), 'ENOTEMPTY', 'EEXIST', 'ENOENT'))) {
        await this.#settle(this.#shelf)
        return generation
      }
    } catch (error) {
      await this.#withdraw(generation)
      throw error
    }
    await this.#withdraw(generation)
    await this.#refuseStrangers()
    return undefined
  }

  /** Replaces `current` by a new payload. `undefined` if it is no longer current; then the caller looks again. */
  async replace(current: Generation, payload: string, expiresAt: number): Promise<Generation | undefined> {
    const { generation, bytes } = prepare(payload, expiresAt)
    try {
      await this.#write(this.fileOf(generation.nonce), bytes)
      await this.#settle(this.#shelf)
      if (await this.move(current, generation)) {
        await this.#settle(this.home)
        await this.#discard(this.fileOf(current.nonce))
        return generation
      }
    } catch (error) {
      await this.#withdraw(generation)
      throw error
    }
    await this.#withdraw(generation)
    return undefined
  }

  /** Replaces `current` by `next`, if it is still current. */
  async move(current: Generation, next: Generation): Promise<boolean> {
    const from = path.join(this.home, nameOf(current))
    return succeeds(fs.rename(from, path.join(this.home, nameOf(next))), 'ENOENT')
  }

  /** Removes the session, if `current` is still current. With `lasting` the removal survives a power failure. */
  async end(current: Generation, lasting: boolean): Promise<boolean> {
    if (!(await succeeds(fs.unlink(path.join(this.home, nameOf(current))), 'ENOENT'))) return false
    await this.vacate()
    if (lasting) {
      await this.#settle(this.home)
      await this.#settle(this.#shelf)
    }
    await this.#discard(this.fileOf(current.nonce))
    return true
  }

  /** Removes the home if it is empty. */
  async vacate(): Promise<void> {
    await unless(fs.rmdir(this.home), 'ENOENT', 'ENOTEMPTY', 'EEXIST')
  }

  async #stage(staging: string): Promise<void> {
    if (await succeeds(fs.mkdir(staging, { mode: 0o700 }), 'ENOENT')) return
    // With `recursive`, Node reports a read-only file system as ENOENT. So parents are made only if they are missing.
    const shelf = unless(fs.mkdir(this.#shelf, { mode: 0o700 }), 'EEXIST')
    if (!(await succeeds(shelf, 'ENOENT'))) await fs.mkdir(this.#shelf, { recursive: true, mode: 0o700 })
    await fs.mkdir(staging, { mode: 0o700 })
  }

  async #write(file: string, bytes: Buffer): Promise<void> {
    await fs.writeFile(file, bytes, { flag: 'wx', mode: 0o600, flush: this.#sync })
  }

  /** Makes the names in a directory survive a power failure. If the directory is gone, there is nothing to do. */
  async #settle(directory: string): Promise<void> {
    if (!this.#sync) return
    const handle = await unless(fs.open(directory, constants.O_RDONLY | constants.O_NOFOLLOW), 'ENOENT')
    if (handle === undefined) return
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  }

  /** Removes the files of `generation`, unless it became the current one by a step that reported a failure. */
  async #withdraw({ nonce, ...rest }: Generation): Promise<void> {
    try {
      if ((await this.look())?.nonce === nonce) return
      const staging = this.stagingOf(nonce)
      await unless(fs.unlink(path.join(staging, nameOf({ nonce, ...rest }))), 'ENOENT')
      await unless(fs.rmdir(staging), 'ENOENT')
      await this.#discard(this.fileOf(nonce))
    } catch {
      // The caller throws the failure that led here; a sweep removes what is left.
    }
  }

  /** Removes a payload that no generation names. If that fails, the file is left for a sweep. */
  async #discard(file: string): Promise<void> {
    await fs.unlink(file).catch(errnoOf)
  }

  /** Throws if the home contains only foreign files: they are no session, and prevent one. */
  async #refuseStrangers(): Promise<void> {
    const names = (await unless(fs.readdir(this.home), 'ENOENT')) ?? []
    if (names.length === 0 || names.some((name) => generationOf(name) !== undefined)) return
    throw refusedError('file', 'there is a foreign file in the directory of a session')
  }
}

function prepare(payload: string, expiresAt: number): { generation: Generation; bytes: Buffer } {
  const bytes = Buffer.from(payload)
  const nonce = crypto.randomBytes(16).toString('hex')
  const generation = {
    version: hexVersionOf(payload),
    nonce,
    checksum: checksumOf(bytes),
    expiresAt: momentOf(expiresAt),
    turn: 0,
  }
  return { generation, bytes }
}

function checksumOf(bytes: Buffer): string {
  return crypto.hash('sha256', bytes, 'hex').slice(0, 16)
}

/** Whether a step was done; `false` if it failed with one of `codes`. */
async function succeeds(step: Promise<void>, ...codes: readonly string[]): Promise<boolean> {
  const done = step.then(() => true)
  return (await unless(done, ...codes)) ?? false
}
