import * as crypto from 'node:crypto'
import { constants } from 'node:fs'
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { SessionError } from '../../errors.ts'
import { errnoOf, unless } from '../shared/errno.ts'
import { generationOf, momentOf, nameOf, hexVersionOf, type Generation } from './generation.ts'

/**
 * The files of one key:
 *
 * - `<shelf>/<digest>/<generation>` – the home. It holds one entry as long as the session exists: an empty file whose
 *   name is the generation.
 * - `<shelf>/<digest>.<nonce>` – the payload. Once a generation names it, it never changes.
 * - `<shelf>/<digest>.<nonce>.new` – a home that is not yet in its place; `.old` once a sweep took it for a leftover.
 *
 * Every method is safe against any number of processes, however long one of them sleeps between two steps. Three rules
 * make it so. A home appears by a rename, which the system refuses if somebody lives there. From then on its entry only
 * changes by renaming or unlinking the very generation that was looked at. And a payload file is written after that look.
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

  /** The generation that stands now. A home without one is as good as none. */
  async look(): Promise<Generation | undefined> {
    const found = await unless(Promise.all([fs.lstat(this.home), fs.readdir(this.home)]), 'ENOENT')
    if (found === undefined) return undefined
    const [stats, names] = found
    // The home is ours alone, so a link was put there to lead us somewhere else.
    if (!stats.isDirectory())
      throw new SessionError('ERR_SESSION_STORE', 'file: a session is a symbolic link')
    return names.map(generationOf).find((generation) => generation !== undefined)
  }

  /** The text that `generation` names, or `undefined` if the file is not there: then look again. */
  async payload(generation: Generation): Promise<string | undefined> {
    const flag = constants.O_RDONLY | constants.O_NOFOLLOW
    const bytes = await unless(fs.readFile(this.fileOf(generation.nonce), { flag }), 'ENOENT')
    if (bytes === undefined) return undefined
    if (checksumOf(bytes) !== generation.checksum) {
      throw new SessionError('ERR_SESSION_PAYLOAD', 'file: a stored session was damaged from outside')
    }
    return bytes.toString()
  }

  /** Puts a first generation here. `undefined`: somebody else came first, so look again. */
  async found(payload: string, expiresAt: number): Promise<Generation | undefined> {
    const { generation, bytes } = prepare(payload, expiresAt)
    const staging = this.stagingOf(generation.nonce)
    try {
      await this.#stage(staging)
      // Where ENOENT is an answer, we slept so long that a sweep took the staged home for a leftover.
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

  /** Puts a new payload in the place of `current`. `undefined`: that one is no longer current, so look again. */
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

  /** Lets `next` take the place of `current`, if that is still the current one. */
  async move(current: Generation, next: Generation): Promise<boolean> {
    const from = path.join(this.home, nameOf(current))
    return succeeds(fs.rename(from, path.join(this.home, nameOf(next))), 'ENOENT')
  }

  /** Ends the session, if `current` is still the current generation. A `lasting` end outlives a power cut. */
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

  /** Removes the home if nothing is in it. */
  async vacate(): Promise<void> {
    await unless(fs.rmdir(this.home), 'ENOENT', 'ENOTEMPTY', 'EEXIST')
  }

  async #stage(staging: string): Promise<void> {
    if (await succeeds(fs.mkdir(staging, { mode: 0o700 }), 'ENOENT')) return
    // Told to make parents as well, Node says ENOENT where the file system may only be read. So only if that is what is lacking.
    const shelf = unless(fs.mkdir(this.#shelf, { mode: 0o700 }), 'EEXIST')
    if (!(await succeeds(shelf, 'ENOENT'))) await fs.mkdir(this.#shelf, { recursive: true, mode: 0o700 })
    await fs.mkdir(staging, { mode: 0o700 })
  }

  async #write(file: string, bytes: Buffer): Promise<void> {
    await fs.writeFile(file, bytes, { flag: 'wx', mode: 0o600, flush: this.#sync })
  }

  /** Makes the names in a directory outlive a power cut. One that is gone has nothing left to lose. */
  async #settle(directory: string): Promise<void> {
    if (!this.#sync) return
    const handle = await unless(fs.open(directory), 'ENOENT')
    if (handle === undefined) return
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  }

  /** Removes what was prepared for `generation`, unless a step that failed has put it in its place all the same. */
  async #withdraw({ nonce, ...rest }: Generation): Promise<void> {
    try {
      if ((await this.look())?.nonce === nonce) return
      const staging = this.stagingOf(nonce)
      await unless(fs.unlink(path.join(staging, nameOf({ nonce, ...rest }))), 'ENOENT')
      await unless(fs.rmdir(staging), 'ENOENT')
      await this.#discard(this.fileOf(nonce))
    } catch {
      // The failure that brought us here is the one to tell; a sweep will find what is left.
    }
  }

  /** Removes a payload that nothing names. What cannot be removed is a leftover, and no reason to fail. */
  async #discard(file: string): Promise<void> {
    await fs.unlink(file).catch(errnoOf)
  }

  /** Nobody lives in a home that holds foreign files, but nobody can move in either. */
  async #refuseStrangers(): Promise<void> {
    const names = (await unless(fs.readdir(this.home), 'ENOENT')) ?? []
    if (names.length === 0 || names.some((name) => generationOf(name) !== undefined)) return
    throw new SessionError('ERR_SESSION_STORE', 'file: a foreign file stands where a session should be')
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
