/**
 * The two stores in files beside each other: the file store and the SQLite store, with and without waiting for the disk.
 *
 *     npm run bench:files
 *     KTS_SESSIONS=100000 KTS_ROUNDS=3 npm run bench:files
 *
 * All take turns within each round, so that a busy moment of the machine hits all of them. The figures are medians of rounds. The
 * folder is below the working directory, on a real disk. `CLIENTS` calls are under way at the same time.
 */
import * as fs from 'node:fs/promises'
import path from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Counting, Entry, Store, Sweeping } from '../src/store.ts'
import { FileStore } from '../src/stores/file.ts'
import { SqliteStore } from '../src/stores/sqlite.ts'
import { table } from './page.ts'

const SESSIONS = Number(process.env['KTS_SESSIONS'] ?? 20_000)
const ROUNDS = Number(process.env['KTS_ROUNDS'] ?? 5)
const CALLS = Number(process.env['KTS_CALLS'] ?? 400)
const BYTES = 1_000

type Subject = Store & Sweeping & Counting

const base = await fs.mkdtemp(path.resolve('.cache', 'bench-files-'))
let clock = Date.now()
const now = (): number => clock
const open: Readonly<Record<string, (folder: string) => Subject>> = {
  'file, sync': (folder) => new FileStore({ folder, now }),
  'sqlite, sync': (folder) => new SqliteStore({ path: `${folder}/sessions.db`, now }),
  'file, sync: false': (folder) => new FileStore({ folder, sync: false, now }),
  'sqlite, sync: false': (folder) => new SqliteStore({ path: `${folder}/sessions.db`, sync: false, now }),
}

let serial = 0
function payload(): string {
  return `kts1 ${String((serial += 1)).padStart(16, '0')} ${'x'.repeat(BYTES)}`
}

function keyOf(at: number): string {
  return (at % SESSIONS).toString(16).padStart(64, '0')
}

const life = clock + 3_600_000
/** What is measured: calls per second, processor time and delays of the event loop. */
interface Figures {
  readonly perSecond: number
  /** µs a call. */
  readonly cpu: number
  /** ms, the 99th percentile. */
  readonly delay: number
}
const figures = new Map<string, Map<string, Figures[]>>()

async function measure(
  name: string,
  act: string,
  clients: number,
  calls: number,
  call: (at: number) => Promise<unknown>,
): Promise<void> {
  const delays = monitorEventLoopDelay({ resolution: 1 })
  delays.enable()
  const [startedAt, before] = [performance.now(), process.cpuUsage()]
  let next = 0
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (next < calls) await call(next++)
    }),
  )
  const ms = performance.now() - startedAt
  const { user, system } = process.cpuUsage(before)
  delays.disable()
  const acts = figures.get(name) ?? new Map<string, Figures[]>()
  figures.set(name, acts)
  const list = acts.get(act) ?? []
  acts.set(act, list)
  list.push({
    perSecond: (calls * 1_000) / ms,
    cpu: (user + system) / calls,
    delay: delays.percentile(99) / 1e6,
  })
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((one, other) => one - other)[Math.floor(numbers.length / 2)] ?? 0
}

const stores = new Map<string, Subject>()
for (const [name, make] of Object.entries(open)) {
  const folder = path.join(base, name.replaceAll(/\W+/g, '-'))
  await fs.mkdir(folder, { mode: 0o700 })
  // Filled without waiting for the disk.
  const filler = open[name.replace(/ sync$/, ' sync: false')]?.(folder)
  await measure(`filling ${name}`, 'create', 64, SESSIONS, async (at) =>
    filler?.create(keyOf(at), payload(), life),
  )
  await filler?.close()
  stores.set(name, make(folder))
  process.stderr.write('.')
}

for (let round = 0; round < ROUNDS; round += 1) {
  for (const [name, store] of stores) {
    const at = (call: number): string => keyOf(round * 7_919 + call * 31)
    for (const clients of [1, 16, 64]) {
      const calls = clients === 1 ? CALLS / 4 : CALLS
      await measure(name, `read, ${clients} at once`, clients, calls * 4, async (call) =>
        store.read(at(call)),
      )
      await measure(name, `replace, ${clients} at once`, clients, calls, async (call) => {
        const entry = (await store.read(at(call))) as Entry // all of them are there
        return store.replace(at(call), payload(), life, entry)
      })
    }
    await measure(name, 'touch, 16 at once', 16, CALLS, async (call) =>
      store.touch(at(call), life + round * 1_000 + call),
    )
    await measure(name, 'create and destroy, 16 at once', 16, CALLS, async (call) => {
      const key = `new-${round}-${call}`
      await store.create(key, payload(), life)
      return store.destroy(key)
    })
    await measure(name, 'count', 1, 1, async () => store.count())
  }
  process.stderr.write(` ${round + 1}`)
}
clock = life + 3_600_000
for (const [name, store] of stores) {
  await measure(name, 'sweep of all', 1, SESSIONS, async (at) =>
    at === 0 ? store.sweep(SESSIONS) : undefined,
  )
  await store.close()
}
process.stderr.write('\n')

const names = [...stores.keys()]
const acts = [...(figures.get(names[0] ?? '')?.keys() ?? [])]
const rows = acts.flatMap((act) =>
  (['perSecond', 'cpu', 'delay'] as const).map((what) => {
    const [unit, digits] = { perSecond: ['a second', 0], cpu: ['µs', 0], delay: ['ms, delay p99', 1] }[
      what
    ] as [string, number]
    return [
      `${act}: ${unit}`,
      ...names.map((name) =>
        median((figures.get(name)?.get(act) ?? []).map((each) => each[what])).toFixed(digits),
      ),
    ]
  }),
)
console.log(`${SESSIONS} sessions of ${BYTES} bytes; ${ROUNDS} rounds`)
console.log(table(['', ...names], rows))
for (const name of names) {
  const { size, files } = await sizeOf(path.join(base, name.replaceAll(/\W+/g, '-')))
  console.log(`${name}: ${files} files, ${size} bytes after the sweep`)
}
await fs.rm(base, { recursive: true })

async function sizeOf(folder: string): Promise<{ size: number; files: number }> {
  let [size, files] = [0, 0]
  for (const entry of await fs.readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    files += 1
    size += (await fs.stat(path.join(entry.parentPath, entry.name))).size
  }
  return { size, files }
}
