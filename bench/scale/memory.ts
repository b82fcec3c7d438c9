// What a stored session takes of the heap, and what a write allocates.
import { fill, textOf, write } from './subject.ts'

export interface Memory {
  /** Bytes of heap for each session of 1 KB, ours and as JSON in a Map. */
  readonly ours: number
  readonly peers: number
  /** What writing a small key of a large session allocates, as a multiple of its payload. */
  readonly copies: number
}

const SESSIONS = 50_000
const KEYS = 8
const BYTES = 1_000
const LARGE = 1_000_000

export async function measureMemory(): Promise<Memory> {
  let before = heap()
  let kept: unknown = await fill(SESSIONS, KEYS, BYTES)
  // The list of IDs is ours to keep, not the store's.
  const ids = SESSIONS * (43 + 1 + 12 + 8)
  const ours = (heap() - before - ids) / SESSIONS
  kept = undefined
  before = heap()
  kept = jsonInMap()
  const peers = (heap() - before) / SESSIONS
  if (kept === undefined) throw new Error('it must be there while it is measured')
  return { ours, peers, copies: await copiesOfWrite() }
}

/** As koa-session's users keep sessions in memory: its JSON under its ID, a UUID. */
function jsonInMap(): Map<string, string> {
  const map = new Map<string, string>()
  for (let index = 0; index < SESSIONS; index += 1) {
    const session: Record<string, unknown> = { user: 'ann' }
    for (let key = 0; key < KEYS; key += 1) session[`key${key}`] = textOf(BYTES / KEYS, index)
    map.set(
      crypto.randomUUID(),
      JSON.stringify({ ...session, _expire: Date.now() + index, _maxAge: 86_400_000 }),
    )
  }
  return map
}

async function copiesOfWrite(): Promise<number> {
  const subject = await fill(1, 1, LARGE)
  await write(subject, 200) // until V8 has compiled it
  const samples: number[] = []
  for (let round = 0; round < 9; round += 1) {
    const before = heap()
    await write(subject, 4)
    samples.push((process.memoryUsage().heapUsed - before) / 4 / LARGE)
  }
  return samples.toSorted((one, other) => one - other)[4] ?? 0
}

function heap(): number {
  if (globalThis.gc === undefined) throw new Error('run with --expose-gc')
  globalThis.gc()
  globalThis.gc()
  return process.memoryUsage().heapUsed
}
