/**
 * A million sessions of 1 KB in the memory store: what each costs beside its payload, how long the event loop stands
 * still while they come, are counted and are swept, and what a verb costs.
 *
 *     node --expose-gc --max-old-space-size=4096 --import=tsx bench/memory.ts [sessions]
 */
import { hash, randomBytes } from 'node:crypto'
import { PerformanceObserver, type PerformanceEntry } from 'node:perf_hooks'
import { setImmediate as turn } from 'node:timers/promises'
import { MemoryStore } from '../src/stores/memory.ts'

const SESSIONS = Number(process.argv[2] ?? 1_000_000)
const BYTES = 1_024
const BATCH = 500
const LINE = `\n"cart" J ${JSON.stringify({ sku: 'x'.repeat(BYTES) })}`

interface Row {
  readonly what: string
  readonly value: string
}

const rows: Row[] = []
let clock = 1_750_000_000_000

function report(what: string, value: number, unit: string): void {
  rows.push({
    what,
    value: `${value.toLocaleString('en', { maximumFractionDigits: value < 100 ? 1 : 0 })} ${unit}`,
  })
}

function keyOf(at: number): string {
  return hash('sha256', String(at), 'hex')
}

/** Put together from pieces, as the codec does it. */
function payloadOf(): string {
  const head = `kts1 ${randomBytes(12).toString('base64url')} 1750000000000`
  return head + LINE.slice(0, BYTES - head.length)
}

function heap(): number {
  if (globalThis.gc === undefined) throw new Error('run with --expose-gc')
  globalThis.gc()
  globalThis.gc()
  return process.memoryUsage().heapUsed
}

interface Turns {
  readonly longest: number
  readonly busiest: number
}

/** Takes every turn of the event loop until `progress` is done: the longest wait for one, and the most work in one. */
async function watch(progress: { readonly done: boolean }): Promise<Turns> {
  let [longest, busiest] = [0, 0]
  for (let last = performance.now(), used = process.cpuUsage(); !progress.done;) {
    await turn()
    const now = performance.now()
    const { user, system } = process.cpuUsage(used)
    longest = Math.max(longest, now - last)
    busiest = Math.max(busiest, (user + system) / 1000)
    last = now
    used = process.cpuUsage()
  }
  return { longest, busiest }
}

/**
 * Reports how long anybody else had to wait for a turn while `work` went on. On a machine with other work to do that is
 * their doing too, so the processor time spent in one turn, on all threads, is told as well, and the longest garbage
 * collection.
 */
async function reportBlocks(what: string, work: () => Promise<void>): Promise<void> {
  const collections: PerformanceEntry[] = []
  const observer = new PerformanceObserver((list) => void collections.push(...list.getEntries()))
  observer.observe({ entryTypes: ['gc'] })
  const progress = { done: false }
  const watching = watch(progress)
  const start = performance.now()
  await work()
  const took = performance.now() - start
  progress.done = true
  const { longest, busiest } = await watching
  await turn()
  observer.disconnect()
  report(what, took, 'ms')
  report('  longest block meanwhile', longest, 'ms')
  report('  most processor time in one turn', busiest, 'ms')
  report('  longest garbage collection', Math.max(0, ...collections.map(({ duration }) => duration)), 'ms')
}

/** Nanoseconds for one call of `verb`, awaited, over keys that are there: the best of five runs, as others use the machine too. */
async function cost(keys: readonly string[], verb: (key: string) => unknown): Promise<number> {
  const times: number[] = []
  for (let run = 0; run < 5; run += 1) {
    const start = performance.now()
    for (let at = 0; at < 100_000; at += 1) await verb(keys[at % keys.length] ?? '')
    times.push((performance.now() - start) * 10)
  }
  return Math.min(...times)
}

async function reportVerbs(store: MemoryStore, sessions: number): Promise<void> {
  const among = `among ${sessions.toLocaleString('en')}`
  // Made anew, as each request makes its own.
  const keys = Array.from({ length: Math.min(sessions, 100_000) }, (_, at) => keyOf((at * 7) % sessions))
  const bare = new Map(keys.map((key) => [key, { payload: payloadOf(), expiresAt: clock }]))
  report(
    `a bare Map's get, awaited, among ${bare.size.toLocaleString('en')}`,
    await cost(keys, (key) => bare.get(key)),
    'ns',
  )
  report(`read ${among}`, await cost(keys, (key) => store.read(key)), 'ns')
  report(`touch ${among}`, await cost(keys, (key) => store.touch(key, clock + 60_001)), 'ns')
  const replace = async (key: string): Promise<unknown> => {
    const base = await store.read(key)
    return base && store.replace(key, payloadOf(), clock + 60_001, base)
  }
  report(`read and replace ${among}`, await cost(keys, replace), 'ns')
  report('  of that to make up the payload', await cost(keys, payloadOf), 'ns')
}

const store = new MemoryStore({ maxEntries: Infinity, maxBytes: Infinity, now: () => clock })
const before = heap()

await reportBlocks('time to create them, 100 a turn', async () => {
  for (let at = 0; at < SESSIONS; at += 1) {
    await store.create(keyOf(at), payloadOf(), clock + 60_000)
    if (at % 100 === 99) await turn()
  }
})
const each = (heap() - before) / SESSIONS
report('heap for each session', each, 'bytes')
report('  of that beside the payload’s own bytes', each - BYTES, 'bytes')
report('  of that beside the key’s 64 as well', each - BYTES - 64, 'bytes')

const small = new MemoryStore({ now: () => clock })
for (let at = 0; at < 1_000; at += 1) await small.create(keyOf(at), payloadOf(), clock + 60_000)
await reportVerbs(small, 1_000)
await reportVerbs(store, SESSIONS)

heap() // so that no collection of what the verbs left behind falls into what follows
let counted = 0
await reportBlocks('time to count them', async () => {
  counted = await store.count()
})

clock += 60_002
let removed = 0
await reportBlocks(`time to sweep them all, ${BATCH} a call`, async () => {
  for (let batch = BATCH; batch === BATCH; removed += batch) batch = await store.sweep(BATCH)
})
if (counted !== SESSIONS || removed !== SESSIONS)
  throw new Error('some sessions were not counted or not swept')

const width = Math.max(...rows.map(({ what }) => what.length))
console.log(`${SESSIONS.toLocaleString('en')} sessions of ${BYTES} bytes, Node ${process.version}`)
for (const { what, value } of rows) console.log(`  ${what.padEnd(width)}  ${value.padStart(12)}`)
