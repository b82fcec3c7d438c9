import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { unless } from '../shared/errno.ts'
import { generationOf } from './generation.ts'
import { inventoryOf, shelvesOf, type Inventory } from './inventory.ts'
import type { FileRecord } from './record.ts'

/** A leftover is left alone for so long, in ms. A courtesy to those still at work: to remove it at once would be safe too. */
const LEFTOVER_AGE = 3_600_000

/** Walks through a folder of records: ends the expired, counts the living, and clears away what killed processes have left. */
export class Sweeper {
  readonly #folder: string
  readonly #now: () => number
  readonly #recordOf: (digest: string) => FileRecord
  /** The shelf where the last sweep stopped. */
  #shelf = ''

  constructor(folder: string, now: () => number, recordOf: (digest: string) => FileRecord) {
    this.#folder = folder
    this.#now = now
    this.#recordOf = recordOf
  }

  async count(): Promise<number> {
    let living = 0
    for (const shelf of await shelvesOf(this.#folder)) {
      for (const digest of (await inventoryOf(path.join(this.#folder, shelf))).homes) {
        const generation = await this.#recordOf(digest).look()
        if (generation !== undefined && generation.expiresAt > this.#now()) living += 1
      }
    }
    return living
  }

  /** Ends up to `limit` expired sessions, and tells how many. A shelf in trouble does not keep it from the others. */
  async sweep(limit: number): Promise<number> {
    const shelves = await shelvesOf(this.#folder)
    const failures: unknown[] = []
    let ended = 0
    for (const shelf of [
      ...shelves.filter((name) => name >= this.#shelf),
      ...shelves.filter((name) => name < this.#shelf),
    ]) {
      if (ended >= limit) return ended
      this.#shelf = shelf
      try {
        ended += await this.#sweepShelf(path.join(this.#folder, shelf), limit - ended)
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
 * Removes a payload that nothing names, after making sure that nothing ever will. Whoever wrote it wants to put either
 * its staged home in place, so that goes first, or it was going to move on from a generation that it had looked at
 * before it wrote: if that one still stands, a turn puts it out of date.
 */
async function disown(record: FileRecord, nonce: string): Promise<void> {
  if (!(await retire(record, nonce))) return
  const current = await record.look()
  if (current?.nonce === nonce) return
  if (current !== undefined && !(await record.move(current, { ...current, turn: current.turn + 1 }))) return
  await unless(fs.unlink(record.fileOf(nonce)), 'ENOENT')
}

/** Takes a staged home out of reach of whoever staged it; `false` if there is something in it that is not ours. */
async function retire(record: FileRecord, nonce: string): Promise<boolean> {
  const names = await unless(fs.readdir(record.stagingOf(nonce)), 'ENOENT')
  if (names === undefined) return true
  if (names.some((name) => generationOf(name) === undefined)) return false
  await unless(fs.rename(record.stagingOf(nonce), record.retiredOf(nonce)), 'ENOENT')
  await dismantle(record.retiredOf(nonce))
  return true
}

async function dismantle(directory: string): Promise<void> {
  const names = (await unless(fs.readdir(directory), 'ENOENT')) ?? []
  for (const name of names) {
    if (generationOf(name) !== undefined) await unless(fs.unlink(path.join(directory, name)), 'ENOENT')
  }
  await unless(fs.rmdir(directory), 'ENOENT', 'ENOTEMPTY', 'EEXIST')
}
