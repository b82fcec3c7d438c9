/**
 * What the worst stored text costs its reader, and the worst values their writer: processor time, the work that the tests
 * bound (`test/hostile/budgets.test.ts`), and memory.
 *
 *     node --expose-gc --import=tsx bench/hostile.ts [--rounds=9] [--search=SECONDS] [--seed=1]
 *
 * First all texts, payloads and values that the tests know. Of several rounds, after some to warm up, the least, the median
 * and the longest are told. It is the time of the processor, as a machine with other work to do takes longer; what the
 * collector and the compiler do on other threads counts too.
 *
 * Then a search: it mixes the parts of which such texts consist at random, keeps the mixtures that take longest to decode,
 * changes them, and tells the slowest texts that it has found.
 */
import { Document } from '../src/codec/document/document.ts'
import { defaultLimits } from '../src/codec/limits.ts'
import { bombs } from '../test/hostile/bombs.ts'
import { Mutator } from '../test/hostile/mutator.ts'
import { parts } from '../test/hostile/parts.ts'
import { payloads, use } from '../test/hostile/payloads.ts'
import { costly } from '../test/hostile/costly-values.ts'
import { type Work, workOf } from '../test/hostile/work.ts'
import { codec } from '../test/hostile/world.ts'

const ROUNDS = option('rounds', 9)
const SEARCH_MS = option('search', 30) * 1_000
const WARM_UP = 3
const LIMIT_MS = 50

function option(name: string, otherwise: number): number {
  const given = process.argv.find((argument) => argument.startsWith(`--${name}=`))
  return given === undefined ? otherwise : Number(given.slice(name.length + 3))
}

interface Cost {
  readonly least: number
  readonly median: number
  readonly longest: number
}

/** Whether it refuses is an answer too. */
function attempt(action: () => unknown): boolean {
  try {
    action()
    return true
  } catch {
    return false
  }
}

function millisecondsOf(action: () => unknown): number {
  const start = process.cpuUsage()
  attempt(action)
  const { user, system } = process.cpuUsage(start)
  return (user + system) / 1_000
}

function cost(action: () => unknown, rounds = ROUNDS, warmUp = WARM_UP): Cost {
  for (let round = 0; round < warmUp; round++) attempt(action)
  const times = Array.from({ length: rounds }, () => millisecondsOf(action)).toSorted(
    (one, other) => one - other,
  )
  return { least: times[0] ?? 0, median: times[times.length >> 1] ?? 0, longest: times.at(-1) ?? 0 }
}

/** Megabytes of heap and buffers that `action` needs at its end, before anything is collected. */
function memory(action: () => unknown): number {
  if (globalThis.gc === undefined) throw new Error('run with --expose-gc')
  globalThis.gc()
  const before = process.memoryUsage()
  attempt(action)
  const after = process.memoryUsage()
  return (after.heapUsed - before.heapUsed + after.arrayBuffers - before.arrayBuffers) / 2 ** 20
}

const HEADINGS = [
  'characters',
  'least ms',
  'median ms',
  'longest ms',
  'MB',
  'steps',
  'looks',
  'RegExps',
  'URLs',
]
/** What is measured. It is made anew for each measurement: V8 writes and reads new objects more slowly while many kinds live. */
interface Case {
  readonly name: string
  readonly size: number | undefined
  readonly prepare: () => () => unknown
}

const cases: Case[] = []

for (const { name, make, fate } of bombs) {
  const line = make()
  cases.push({ name, size: line.length, prepare: () => () => codec.decode(line, 'key') })
  if (fate === 'error') continue
  const prepare = (): (() => unknown) => {
    const value = codec.decode(line, 'key')
    return () => codec.encode(value, 'key')
  }
  cases.push({ name: '  … written again', size: undefined, prepare })
}
for (const { name, make } of payloads) {
  const payload = make()
  const find = (): unknown => Document.parse(payload, defaultLimits).line('k0')
  cases.push({ name: `payload: ${name}`, size: payload.length, prepare: () => find })
  cases.push({ name: '  … each key read and written', size: undefined, prepare: () => () => use(payload) })
}
for (const { name, make } of costly) {
  const prepare = (): (() => unknown) => {
    const value = make()
    return () => codec.encode(value, 'key')
  }
  cases.push({ name: `written: ${name}`, size: undefined, prepare })
}

let over = 0
const measured = cases.map(({ name, size, prepare }) => {
  globalThis.gc?.()
  const action = prepare()
  const { least, median, longest } = cost(action)
  if (median > LIMIT_MS) over++
  const times = [least, median, longest].map((time) => time.toFixed(1))
  return [name, String(size ?? ''), ...times, memory(action).toFixed(1)]
})
const found = search(SEARCH_MS)

// Counting makes the codec slower, so it comes last.
const counted = cases.map(({ prepare }) => {
  const { steps, characters, patterns, urls }: Work = workOf(prepare())
  return [steps, characters, patterns, urls].map(String)
})
const table = [['', ...HEADINGS], ...measured.map((cells, index) => [...cells, ...(counted[index] ?? [])])]
const widths =
  table[0]?.map((_, column) => Math.max(...table.map((cells) => cells[column]?.length ?? 0))) ?? []
for (const cells of table) {
  const [name = '', ...numbers] = cells
  const padded = numbers.map((cell, column) => cell.padStart(widths[column + 1] ?? 0))
  console.log([name.padEnd(widths[0] ?? 0), ...padded].join('  '))
}
console.log(
  `\n${over} of ${cases.length} take longer than ${LIMIT_MS} ms of processor time in the median of ${ROUNDS} rounds`,
)
console.log(`\nThe slowest of ${found.tried} mixtures:`)
for (const { recipe, median, least } of found.slowest)
  console.log(`  ${least.toFixed(1)} (median ${median.toFixed(1)}) ms: ${describe(recipe)}`)

/** How much of the room each part gets, in thousandths; parts without any are left out. */
type Recipe = ReadonlyMap<string, number>

function describe(recipe: Recipe): string {
  return [...recipe].map(([part, share]) => `${part} ${(share / 10).toFixed(0)} %`).join(', ')
}

function search(budget: number): {
  readonly tried: number
  readonly slowest: readonly (Cost & { readonly recipe: Recipe })[]
} {
  const random = new Mutator(option('seed', 1))
  let slowest: (Cost & { readonly recipe: Recipe })[] = []
  let tried = 0
  for (const end = performance.now() + budget; performance.now() < end; tried++) {
    const recipe =
      tried < parts.length || random.below(3) === 0 ? newRecipe(random, tried) : changed(random, slowest)
    const line = lineOf(recipe)
    const decode = (): unknown => codec.decode(line, 'key')
    if (!attempt(decode)) continue // it was over a budget, which is found out earlier than what is not
    slowest.push({ ...cost(decode, 5, 1), recipe })
    slowest = slowest.toSorted((one, other) => other.least - one.least).slice(0, 10)
  }
  return { tried, slowest }
}

function newRecipe(random: Mutator, tried: number): Recipe {
  const first = parts[tried] ?? random.one(parts)
  if (tried < parts.length) return new Map([[first.name, 1_000]])
  return new Map(
    [first, random.one(parts), random.one(parts)].map(({ name }) => [name, 1 + random.below(900)]),
  )
}

function changed(random: Mutator, best: readonly { readonly recipe: Recipe }[]): Recipe {
  const recipe = new Map(best.length === 0 ? [] : random.one(best).recipe)
  const { name } = random.one(parts)
  recipe.set(name, random.below(2) === 0 ? 1 + random.below(900) : Math.ceil((recipe.get(name) ?? 100) / 2))
  if (recipe.size > 1 && random.below(3) === 0) recipe.delete(random.one([...recipe.keys()]))
  return recipe
}

/** A line with these parts in one list, each as often as its share of the room and its budget allow. */
function lineOf(recipe: Recipe): string {
  const whole = [...recipe.values()].reduce((sum, share) => sum + share, 0)
  const written: string[] = []
  let nodes = defaultLimits.nodes - 1
  for (const { name, nodes: each, make, most = Infinity } of parts) {
    const room = ((recipe.get(name) ?? 0) / whole) * (defaultLimits.keyBytes - 2_000)
    let length = 0
    for (let index = 0; index < most; index++) {
      const text = make(index)
      length += text.length + 1
      if (length > room || nodes < each) break
      nodes -= each
      written.push(text)
    }
  }
  return `S \t[["Canary",1,["name"]]]\t[${written.join(',')}]`
}
