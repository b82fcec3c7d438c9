import type { Dirent } from 'node:fs'
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { errnoOf } from '../shared/errors.ts'
import { unless } from './errors.ts'
import { SHELF } from './folder.ts'
import { generationOf } from './generation.ts'
import type { FileRecord } from './record.ts'

/** The contents of a shelf, a directory of the store. Other names, and names of the wrong kind of entry, are ignored. */
interface Inventory {
  /** Digests of the keys that have a home. */
  readonly homes: readonly string[]
  /** Payload files; nearly all of them are in use. */
  readonly payloads: readonly RecordPart[]
  /** Staged homes: a process is about to move them into place, or was killed before it did. */
  readonly staged: readonly RecordPart[]
  /** Staged homes that a sweep has renamed, so that no process can move them into place any more. */
  readonly retired: readonly RecordPart[]
}

interface RecordPart {
  readonly digest: string
  readonly nonce: string
}

const HOME = /^[0-9a-f]{64}$/
const PIECE = /^([0-9a-f]{64})\.([0-9a-f]{32})(|\.new|\.old)$/

/** How old a leftover must be before it is removed, in ms. To remove it at once would be safe, but could disturb a slow process. */
const LEFTOVER_AGE = 3_600_000

/** Walks through all records of a folder: removes expired ones, counts living ones, and removes what killed processes left. */
export class FileSweeper {
  readonly #folderOf: () => string
  readonly #now: () => number
  readonly #recordOf: (digest: string) => FileRecord
  /** The shelf at which the last sweep stopped. */
  #shelf = ''

  constructor(folderOf: () => string, now: () => number, recordOf: (digest: string) => FileRecord) {
    this.#folderOf = folderOf
    this.#now = now
    this.#recordOf = recordOf
  }

  /** How many sessions there are, those included that have expired. Reads the directories, but no session. */
  async countAll(): Promise<number> {
    let homes = 0
    for (const shelf of await shelvesOf(this.#folderOf())) {
      const names = (await unless(fs.readdir(path.join(this.#folderOf(), shelf)), 'ENOENT')) ?? []
      homes += names.filter((name) => HOME.test(name)).length
    }
    return homes
  }

  async count(): Promise<number> {
    let living = 0
    for (const shelf of await shelvesOf(this.#folderOf())) {
      for (const digest of (await inventoryOf(path.join(this.#folderOf(), shelf))).homes) {
        const generation = await this.#recordOf(digest).look()
        if (generation !== undefined && generation.expiresAt > this.#now()) living += 1
      }
    }
    return living
  }

  /** Removes up to `limit` expired sessions, and returns how many. If one shelf fails, the others are swept all the same. */
  async sweep(limit: number): Promise<number> {
    const shelves = await shelvesOf(this.#folderOf())
    const failures: unknown[] = []
    let ended = 0
    for (const shelf of [
      ...shelves.filter((name) => name >= this.#shelf),
      ...shelves.filter((name) => name < this.#shelf),
    ]) {
      if (ended >= limit) return ended
      this.#shelf = shelf
      try {
        ended += await this.#sweepShelf(path.join(this.#folderOf(), shelf), limit - ended)
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
    return ended
  }

  async #sweepShelf(shelf: string, limit: number): Promise<number> {
    const inventory = await inventoryOf(shelf)
    const inUse = new Set<string>()
    let ended = 0
    for (const digest of inventory.homes) {
      if (ended >= limit) return ended
      const record = this.#recordOf(digest)
      const generation = await record.look()
      if (generation === undefined) await record.vacate()
      else if (generation.expiresAt > this.#now()) inUse.add(generation.nonce)
      else if (await record.end(generation, false)) ended += 1
    }
    await this.#clear(inventory, inUse)
    return ended
  }

  async #clear({ payloads, staged, retired }: Inventory, inUse: ReadonlySet<string>): Promise<void> {
    for (const { digest, nonce } of staged) {
      const record = this.#recordOf(digest)
      if (await this.#isOld(record.stagingOf(nonce))) await retire(record, nonce)
    }
    for (const { digest, nonce } of payloads) {
      if (inUse.has(nonce)) continue
      const record = this.#recordOf(digest)
      if (await this.#isOld(record.fileOf(nonce))) await disown(record, nonce)
    }
    for (const { digest, nonce } of retired) await dismantle(this.#recordOf(digest).retiredOf(nonce))
  }

  async #isOld(file: string): Promise<boolean> {
    const stats = await unless(fs.lstat(file), 'ENOENT')
    return stats !== undefined && this.#now() - stats.mtimeMs >= LEFTOVER_AGE
  }
}

/**
 * Removes a payload that no generation names, after making sure that none ever will. The process that wrote it may still
 * be about to do one of two things. It may move its staged home into place: so that home is retired first. Or it may rename
 * a generation that it read before it wrote the payload: if that one is still current, raising its turn makes the rename fail.
 */
async function disown(record: FileRecord, nonce: string): Promise<void> {
  if (!(await retire(record, nonce))) return
  const current = await record.look()
  if (current?.nonce === nonce) return
  if (current !== undefined && !(await record.move(current, { ...current, turn: current.turn + 1 }))) return
  await unless(fs.unlink(record.fileOf(nonce)), 'ENOENT')
}

/**
 * Renames a staged home, so that the process that staged it cannot use it; `false` if there are foreign files in it. An overlay does not
 * rename what a lower layer holds (EXDEV), so no process can move it into place either, and it is taken apart where it is.
 */
async function retire(record: FileRecord, nonce: string): Promise<boolean> {
  const names = await unless(fs.readdir(record.stagingOf(nonce)), 'ENOENT')
  if (names === undefined) return true
  if (names.some((name) => generationOf(name) === undefined)) return false
  const isFixed = await fs.rename(record.stagingOf(nonce), record.retiredOf(nonce)).then(
    () => false,
    (error: unknown) => {
      if (!['ENOENT', 'EXDEV'].includes(errnoOf(error))) throw error
      return errnoOf(error) === 'EXDEV'
    },
  )
  await dismantle(isFixed ? record.stagingOf(nonce) : record.retiredOf(nonce))
  return true
}

async function dismantle(directory: string): Promise<void> {
  const names = (await unless(fs.readdir(directory), 'ENOENT')) ?? []
  for (const name of names) {
    if (generationOf(name) !== undefined) await unless(fs.unlink(path.join(directory, name)), 'ENOENT')
  }
  await unless(fs.rmdir(directory), 'ENOENT', 'ENOTEMPTY', 'EEXIST')
}

/** The names of the shelves in a folder, sorted. */
async function shelvesOf(folder: string): Promise<readonly string[]> {
  const entries = await list(folder)
  return entries
    .filter((entry) => entry.isDirectory() && SHELF.test(entry.name))
    .map(({ name }) => name)
    .toSorted()
}

async function inventoryOf(shelf: string): Promise<Inventory> {
  const entries = await list(shelf)
  const directories = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
  const files = entries.filter((entry) => entry.isFile()).map(({ name }) => name)
  return {
    homes: directories.filter((name) => HOME.test(name)),
    payloads: partsOf(files, ''),
    staged: partsOf(directories, '.new'),
    retired: partsOf(directories, '.old'),
  }
}

async function list(directory: string): Promise<readonly Dirent[]> {
  return (await unless(fs.readdir(directory, { withFileTypes: true }), 'ENOENT')) ?? []
}

function partsOf(names: readonly string[], ending: string): readonly RecordPart[] {
  return names.flatMap((name) => {
    const [, digest, nonce, end] = PIECE.exec(name) ?? []
    return digest !== undefined && nonce !== undefined && end === ending ? [{ digest, nonce }] : []
  })
}
