/**
 * What the worst text that anybody can forge costs its reader: time to decode a line, time to write what came of it again,
 * and memory, for each of the bombs that the tests know; and what the worst values cost their writer.
 *
 *     node --expose-gc --import=tsx bench/hostile.ts [rounds]
 *
 * Of several rounds the median and the longest are told. It is the time of the processor, as a machine with other work to
 * do takes longer; what the collector and the compiler do on other threads counts too.
 */
import { bombs } from '../test/hostile/bombs.ts'
import { codec } from '../test/hostile/world.ts'
import { Document } from '../src/codec/document/document.ts'
import { defaultLimits } from '../src/codec/limits.ts'

const ROUNDS = Number(process.argv[2] ?? 9)
const LIMIT_MS = 50

interface Cost {
  readonly median: number
  readonly longest: number
}

function cost(action: () => unknown): Cost {
  const times = Array.from({ length: ROUNDS }, () => {
    const start = process.cpuUsage()
    try {
      action()
    } catch {
      // To refuse is an answer too.
    }
    const { user, system } = process.cpuUsage(start)
    return (user + system) / 1000
  }).toSorted((one, other) => one - other)
  return { median: times[times.length >> 1] ?? 0, longest: times.at(-1) ?? 0 }
}

/** Megabytes of heap and buffers that `action` needs at its end, before anything is collected. */
function memory(action: () => unknown): number {
  if (globalThis.gc === undefined) throw new Error('run with --expose-gc')
  globalThis.gc()
  const before = process.memoryUsage()
  try {
    action()
  } catch {
    // As above.
  }
  const after = process.memoryUsage()
  return (after.heapUsed - before.heapUsed + after.arrayBuffers - before.arrayBuffers) / 2 ** 20
}

const rows: (readonly string[])[] = [
  ['', 'characters', 'median ms', 'longest ms', 'MB', 'again: median ms', 'longest ms'],
]
let over = 0

function row(name: string, size: string, first: Cost, megabytes: number, again?: Cost): void {
  const shown = [first, again].flatMap((cost) =>
    cost === undefined ? ['', ''] : [cost.median.toFixed(1), cost.longest.toFixed(1)],
  )
  if (Math.max(first.median, again?.median ?? 0) > LIMIT_MS) over++
  rows.push([name, size, ...shown.slice(0, 2), megabytes.toFixed(1), ...shown.slice(2)])
}

for (const { name, make } of bombs) {
  const line = make()
  const decode = (): unknown => codec.decode(line, 'key')
  const decoded = cost(decode)
  let value: unknown
  let isRead = true
  try {
    value = decode()
  } catch {
    isRead = false
  }
  const again = isRead ? cost(() => codec.encode(value, 'key')) : undefined
  row(name, String(line.length), decoded, memory(decode), again)
}

const version = 'AbCdEfGhIjKlMnOp'
const bodies: readonly (readonly [string, string])[] = [
  ['payload: 60,000 keys', Array.from({ length: 60_000 }, (_, index) => `"${index}" J 1\n`).join('')],
  ['payload: 60,000 escaped keys', Array.from({ length: 60_000 }, (_, n) => `"\\n${n}" J 1\n`).join('')],
  ['payload: the same key 100,000 times', '"a" J 1\n'.repeat(100_000)],
  ['payload: a million newlines', '\n'.repeat(1_000_000)],
  ['payload: a key of a million backslashes', `"${'\\\\'.repeat(500_000)}" J 1\n`],
  ['payload: a key of a million characters', `"${'k'.repeat(1_000_000)}" J 1\n`],
  ['payload: quotes', `${'"\\"'.repeat(300_000)}\n`],
  ['payload: keys that do not end', '"x\n'.repeat(250_000)],
]
for (const [name, body] of bodies) {
  const payload = `kts1 ${version} 0 ${body.length}\n${body}`
  const use = (): unknown => {
    const document = Document.parse(payload, defaultLimits)
    document.line('b')
    return document.keys()
  }
  row(name, String(payload.length), cost(use), memory(use))
}
for (const [name, attributes] of [
  ['header: 90,000 attributes', Array.from({ length: 90_000 }, (_, n) => ` a${n}=1`).join('')],
  ['header: the same attribute 250,000 times', ' a=b'.repeat(250_000)],
  ['header: an attribute of a million characters', ` a=${'x'.repeat(1_000_000)}`],
] as const) {
  const payload = `kts1 ${version} 0 1${attributes}\n\n`
  const use = (): unknown => Document.parse(payload, defaultLimits)
  row(name, String(payload.length), cost(use), memory(use))
}

const large = 2n ** 16_000n
const long = 'x'.repeat(500_000)
const values: readonly (readonly [string, () => unknown])[] = [
  ['written: one large bigint 200,000 times', () => Array.from({ length: 200_000 }, () => large)],
  ['written: one long text 200,000 times', () => Array.from({ length: 200_000 }, () => long)],
  ['written: 60,000 objects', () => Array.from({ length: 60_000 }, () => ({}))],
  ['written: 49,000 buffers of a pool', () => Array.from({ length: 49_000 }, () => Buffer.from('x'))],
  ['written: 49,000 buffers of their own', () => Array.from({ length: 49_000 }, () => new Uint8Array(1))],
  ['written: 380,000 bytes', () => Buffer.alloc(380_000)],
  ['written: 600,000,000 bytes', () => Buffer.alloc(600_000_000)],
  ['written: a sparse list of 2^32 - 1', () => Object.assign([], { length: 2 ** 32 - 1 })],
  ['written: 200,000 holes', () => Object.assign([], { length: 200_000 })],
  [
    'written: nested 200,000 deep',
    () => Array.from({ length: 200_000 }).reduce((inner) => [inner], 1 as unknown),
  ],
]
for (const [name, make] of values) {
  const value = make()
  const encode = (): unknown => codec.encode(value, 'key')
  row(name, '', cost(encode), memory(encode))
}

const widths = rows[0]?.map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0))) ?? []
for (const cells of rows) {
  const [name = '', ...numbers] = cells
  const padded = numbers.map((cell, column) => cell.padStart(widths[column + 1] ?? 0))
  console.log([name.padEnd(widths[0] ?? 0), ...padded].join('  '))
}
console.log(
  `\n${over} of ${rows.length - 1} take longer than ${LIMIT_MS} ms in the median of ${ROUNDS} rounds`,
)
