import assert from 'node:assert/strict'
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { FileStore } from '../../../src/stores/file.ts'
import type { Entry, Store, Sweeping } from '../../../src/store.ts'

export const HOUR = 3_600_000
export const START = 1_700_000_000_000
/** Long enough for the leftovers of a process that died at START to be taken for what they are. */
export const LATER: number = START + 2 * HOUR

export const KEY: string = 'ab'.repeat(32)
export const OLD = 'kts1 aaaaaaaaaaaaaaaa secret old'
export const NEW = `kts1 bbbbbbbbbbbbbbbb secret new ${'x'.repeat(500)}`
const NEIGHBOUR = 'cd'.repeat(32)

export type ActName =
  | 'create'
  | 'create over an expired one'
  | 'replace'
  | 'touch'
  | 'destroy'
  | 'read of an expired one'
  | 'sweep'

/** Something that a store does, and what anybody may find if it was stopped in the midst of it. */
export interface Act {
  /** When it happens. */
  readonly now: number
  /** What was there before. */
  prepare(store: Store, folder: string): Promise<void>
  run(store: Store & Sweeping): Promise<unknown>
  /** What is found under KEY as long as it was not done, and once it was. */
  readonly before: Entry | undefined
  readonly after: Entry | undefined
  /** Whether it leaves nothing behind if it fails. */
  readonly tidy?: boolean
}

async function nobody(): Promise<void> {}

/** Makes everything in a folder as old as START, for files know no other clock than the system's. */
export async function age(folder: string): Promise<void> {
  for (const name of await fs.readdir(folder, { recursive: true })) {
    await fs.utimes(path.join(folder, name), START / 1000, START / 1000)
  }
}

/** What is done to a session whose payload is `old`, where it gets another one that is `fresh`. */
export function actsOf(old: string, fresh: string): Readonly<Record<ActName, Act>> {
  const base: Entry = { payload: old, expiresAt: START + 24 * HOUR }
  const extended: Entry = { payload: old, expiresAt: START + 48 * HOUR }
  const replaced: Entry = { payload: fresh, expiresAt: START + 36 * HOUR }

  async function keepOld(store: Store): Promise<void> {
    await store.create(KEY, base.payload, base.expiresAt)
  }

  async function keepExpired(store: Store): Promise<void> {
    await store.create(KEY, old, START + HOUR)
  }

  /** One who lives and one who does not, and for each what a killed process may have left beside it. */
  async function litter(store: Store, folder: string): Promise<void> {
    await keepOld(store)
    await store.create(NEIGHBOUR, old, START + HOUR)
    for (const shelf of await fs.readdir(folder)) {
      for (const name of await fs.readdir(path.join(folder, shelf))) {
        if (name.length !== 64) continue
        const home = path.join(folder, shelf, name)
        const [generation = ''] = await fs.readdir(home)
        await fs.writeFile(`${home}.${'1'.repeat(32)}`, 'half a pay')
        for (const [nonce, end] of [
          ['2', 'new'],
          ['3', 'old'],
        ] as const) {
          await fs.mkdir(`${home}.${nonce.repeat(32)}.${end}`)
          await fs.writeFile(path.join(`${home}.${nonce.repeat(32)}.${end}`, generation), '')
          await fs.writeFile(`${home}.${nonce.repeat(32)}`, old)
        }
      }
    }
    await fs.mkdir(path.join(folder, 'ee', 'e'.repeat(64)), { recursive: true })
    await age(folder)
  }

  return {
    create: {
      now: START,
      prepare: nobody,
      run: async (store) => store.create(KEY, fresh, replaced.expiresAt),
      before: undefined,
      after: replaced,
      tidy: true,
    },
    'create over an expired one': {
      now: START + HOUR,
      prepare: keepExpired,
      run: async (store) => store.create(KEY, fresh, replaced.expiresAt),
      before: undefined,
      after: replaced,
    },
    replace: {
      now: START,
      prepare: keepOld,
      run: async (store) => store.replace(KEY, fresh, replaced.expiresAt, base),
      before: base,
      after: replaced,
      tidy: true,
    },
    touch: {
      now: START,
      prepare: keepOld,
      run: async (store) => store.touch(KEY, extended.expiresAt),
      before: base,
      after: extended,
    },
    destroy: {
      now: START,
      prepare: keepOld,
      run: async (store) => store.destroy(KEY, base),
      before: base,
      after: undefined,
    },
    'read of an expired one': {
      now: START + HOUR,
      prepare: keepExpired,
      run: async (store) => store.read(KEY),
      before: undefined,
      after: undefined,
    },
    sweep: {
      now: LATER,
      prepare: litter,
      run: async (store) => store.sweep(10),
      before: base,
      after: base,
    },
  }
}

export const acts: Readonly<Record<ActName, Act>> = actsOf(OLD, NEW)

/** Payloads that differ in length and alphabet: what a session was, and what it is to be. */
export const payloads: readonly (readonly [old: string, fresh: string])[] = [
  [OLD, NEW],
  [NEW, OLD],
  [`${OLD} ${'Ü'.repeat(30_000)}`, `${NEW} ${'🛒'.repeat(70_000)}`],
  [OLD, 'kts1 bbbbbbbbbbbbbbbb '],
]

/** A store with a clock that stands still. */
export function storeAt(folder: string, now: number, sync = false): FileStore {
  return new FileStore({ folder, sync, now: () => now })
}

/** What another process would find under KEY. */
export async function found(folder: string, now: number): Promise<Entry | undefined> {
  return storeAt(folder, now).read(KEY)
}

/** Asserts that the folder holds what so many living sessions need, and nothing else but its empty shelves. */
export async function assertTidy(folder: string, living: number): Promise<void> {
  const files: string[] = []
  for (const name of await fs.readdir(folder, { recursive: true })) {
    if (!/^[0-9a-f]{2}$/.test(name)) files.push(name)
  }
  const homes = files.filter((name) => name.length === 2 + 1 + 64)
  assert.equal(homes.length, living, `homes in ${files.join('\n')}`)
  for (const home of homes) {
    const [generation, ...others] = files.filter((name) => name.startsWith(`${home}/`))
    assert.ok(generation !== undefined && others.length === 0, `one generation in ${files.join('\n')}`)
    const nonce = path.basename(generation).split('.')[1]
    assert.ok(files.includes(`${home}.${nonce}`), `a payload in ${files.join('\n')}`)
  }
  assert.equal(files.length, 3 * living, `nothing else in\n${files.join('\n')}`)
}

/** Asserts that the folder can be used as if nothing had happened, and that nothing is left of it after a sweep but `others`. */
export async function assertUsable(folder: string, now: number, others = 0): Promise<void> {
  const later = storeAt(folder, Math.max(now, LATER))
  const seen = await later.read(KEY)
  await age(folder)
  await later.sweep(100)
  await assertTidy(folder, seen === undefined ? others : others + 1)
  assert.deepEqual(await later.read(KEY), seen)
  const next =
    seen === undefined
      ? await later.create(KEY, NEW, START + 72 * HOUR)
      : await later.replace(KEY, NEW, START + 72 * HOUR, seen)
  assert.ok(typeof next === 'object')
  assert.equal(await later.destroy(KEY, next.entry), 'ok')
  await assertTidy(folder, others)
}
