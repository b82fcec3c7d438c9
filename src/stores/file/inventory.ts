import type { Dirent } from 'node:fs'
import * as fs from 'node:fs/promises'
import { unless } from '../shared/errno.ts'

/** What a shelf of the file store holds. Whatever has another name, or is not what its name says, is not ours. */
export interface Inventory {
  /** Digests of the keys that have a home. */
  readonly homes: readonly string[]
  /** Payload files; nearly all of them are in use. */
  readonly payloads: readonly RecordPart[]
  /** Homes that are not in their place, be it that they are on their way or that nobody will ever move them there. */
  readonly staged: readonly RecordPart[]
  /** Staged homes that a sweep has put out of reach. */
  readonly retired: readonly RecordPart[]
}

export interface RecordPart {
  readonly digest: string
  readonly nonce: string
}

const SHELF = /^[0-9a-f]{2}$/
const HOME = /^[0-9a-f]{64}$/
const PIECE = /^([0-9a-f]{64})\.([0-9a-f]{32})(|\.new|\.old)$/

/** The names of the shelves in a folder, in order. */
export async function shelvesOf(folder: string): Promise<readonly string[]> {
  const entries = await list(folder)
  return entries
    .filter((entry) => entry.isDirectory() && SHELF.test(entry.name))
    .map(({ name }) => name)
    .toSorted()
}

export async function inventoryOf(shelf: string): Promise<Inventory> {
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
