// The structure of src/: which room may import which, no cycles, no deep chains, plain names. `npm run structure` prints it.
import { readdir, readFile } from 'node:fs/promises'
import test from 'ava'
import {
  codeOf,
  cyclesOf,
  graphOf,
  importsOf,
  longestChain,
  readSource,
  roomOf,
  withoutTesting,
  type Import,
} from '../scripts/imports.ts'

const LONGEST_CHAIN = 18
const MOST_ENTRIES = 15
const MOST_RIDDLES = 10

/** What each room may import besides itself. `CONTRIBUTING.md` has the same table, and a test compares the two. */
const rooms: Readonly<Record<string, readonly string[]>> = {
  'index.ts': ['koa', 'session', 'codec', 'registry.ts', 'store.ts', 'errors.ts'],
  'augment.ts': ['koa'],
  cli: ['koa', 'session', 'stores', 'codec', 'store.ts', 'nearest-name.ts', 'errors.ts'],
  compat: ['koa', 'session', 'nearest-name.ts', 'errors.ts'],
  koa: ['session', 'store.ts', 'nearest-name.ts', 'errors.ts'],
  session: ['stores', 'codec', 'registry.ts', 'store.ts', 'nearest-name.ts', 'errors.ts'],
  stores: ['store.ts', 'nearest-name.ts', 'errors.ts'],
  'registry.ts': ['codec', 'nearest-name.ts', 'errors.ts'],
  codec: ['errors.ts'],
  migrate: ['session', 'stores', 'store.ts', 'nearest-name.ts', 'errors.ts'],
  opentelemetry: ['session', 'errors.ts'],
  testing: ['session', 'codec', 'registry.ts', 'store.ts', 'errors.ts'],
  'store.ts': [],
  'errors.ts': [],
  'nearest-name.ts': [],
}

/** Imports that the rules for rooms and stores do not have. */
const exceptions: readonly { from: RegExp; to: RegExp }[] = [
  // Its config string also has settings of the HTTP cookie.
  { from: /^session\/providers\.ts$/, to: /^stores\/cookie\/config\.ts$/ },
  { from: /^stores\/cookie(\.ts$|\/)/, to: /^codec\/seal\// },
]

/** Where a package may be imported, and how. The first pattern that fits counts; a package without one is not allowed. */
const packages: readonly { name: RegExp; in: RegExp; as: readonly Import['kind'][] }[] = [
  { name: /^node:(http|https|http2)$/, in: /^koa\//, as: ['type', 'value'] },
  {
    name: /^node:/,
    in: /^(cli|compat|koa|session|codec|stores|migrate|opentelemetry|testing)\/|^registry\.ts$/,
    as: ['type', 'value', 'call'],
  },
  { name: /^koa$/, in: /^(koa|compat)\//, as: ['type'] },
  { name: /^(cookie|on-headers)$/, in: /^koa\//, as: ['type', 'value'] },
  { name: /^@opentelemetry\/api$/, in: /^opentelemetry\//, as: ['type', 'value'] },
  { name: /^superjson$/, in: /^codec\/value\//, as: ['type', 'value'] },
  // A driver is loaded when its store is opened first.
  { name: /^@photostructure\/sqlite$/, in: /^stores\/sqlite(\.ts$|\/)/, as: ['type', 'call'] },
  { name: /^ioredis$/, in: /^stores\/redis(\.ts$|\/)/, as: ['type', 'call'] },
  { name: /^mysql2(\/promise)?$/, in: /^stores\/mysql(\.ts$|\/)/, as: ['type', 'call'] },
  { name: /^pg$/, in: /^stores\/postgres(\.ts$|\/)/, as: ['type', 'call'] },
  { name: /^memjs$/, in: /^stores\/memcache(\.ts$|\/)/, as: ['type', 'call'] },
  { name: /^couchbase$/, in: /^stores\/couchbase(\.ts$|\/)/, as: ['type', 'call'] },
]

/** Words that say nothing to a stranger; the right-hand side is what the field calls it. */
const riddles: Readonly<Record<string, string>> = {
  contest: 'commit retry',
  turns: 'key queue',
  pieces: 'cookie chunks',
  visit: 'open options, request or actor',
  slot: 'key change',
  port: 'operations',
  loads: 'shared reads',
  life: 'expiry',
  farewell: 'session response',
  retirement: 'redirect',
}

const entries = await readdir('src')
const files = await readSource()
const graph = graphOf(files)

/** Every import of one file of ours by another that `isWrong`, as text. */
function wrongImports(isWrong: (from: string, to: string) => boolean): string[] {
  return files.flatMap(({ name, imports }) =>
    imports.flatMap(({ target }) =>
      target !== undefined && isWrong(name, target) ? [`src/${name} imports src/${target}`] : [],
    ),
  )
}

function isException(from: string, to: string): boolean {
  return exceptions.some((exception) => exception.from.test(from) && exception.to.test(to))
}

/** `redis` for `stores/redis.ts` and for all that is in `stores/redis/`. */
function engineOf(name: string): string | undefined {
  return /^stores\/([a-z]+)(?:\.ts$|\/)/.exec(name)?.[1]
}

/** The words of a name: `CookieChunks` and `cookie-chunks` are both `cookie`, `chunks`. */
function wordsOf(name: string): string[] {
  return (name.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z\d]+/g) ?? []).map((word) => word.toLowerCase())
}

test('every entry of src/ is a room that has its row here', (t) => {
  for (const entry of entries)
    t.true(entry in rooms, `src/${entry}: say in test/layers.test.ts what it may import`)
  for (const room of Object.keys(rooms))
    t.true(entries.includes(room), `src/${room} is gone: take its row out`)
})

test('every import of a file of ours leads to a file that is there', (t) => {
  const names = new Set(files.map(({ name }) => name))
  t.deepEqual(
    wrongImports((_from, to) => !names.has(to)),
    [],
  )
})

for (const [room, may] of Object.entries(rooms)) {
  test(`${room} imports only the rooms below it, types included`, (t) => {
    const wrong = wrongImports(
      (from, to) =>
        roomOf(from) === room && roomOf(to) !== room && !may.includes(roomOf(to)) && !isException(from, to),
    )
    t.deepEqual(
      wrong,
      [],
      `${room} may import ${may.join(', ') || 'nothing'}: move what is shared into one of these, or declare in ${room} the type that it needs`,
    )
  })
}

test('an engine is named in session/providers.ts only: all else knows a store by its traits', (t) => {
  const wrong = wrongImports((from, to) => /^stores\/[a-z]+\.ts$/.test(to) && from !== 'session/providers.ts')
  t.deepEqual(wrong, [], 'take what differs from the traits of the store, or move a type that is shared down')
})

test('the parts of an engine are imported by its public file and by one another only', (t) => {
  const isPart = (name: string): boolean => /^stores\/(?!shared\/)[a-z]+\//.test(name)
  const wrong = wrongImports(
    (from, to) => isPart(to) && engineOf(to) !== engineOf(from) && !isException(from, to),
  )
  t.deepEqual(wrong, [], 'put what two engines share into stores/shared/')
})

test('stores/shared/ imports no engine', (t) => {
  const isShared = (name: string): boolean => name.startsWith('stores/shared/')
  const wrong = wrongImports((from, to) => isShared(from) && roomOf(to) === 'stores' && !isShared(to))
  t.deepEqual(wrong, [], 'pass what differs between the engines to the shared code as an argument')
})

test('encryption does not know the format of payloads, nor the format encryption', (t) => {
  const isSeal = (name: string): boolean => name.startsWith('codec/seal/')
  const wrong = wrongImports(
    (from, to) => roomOf(from) === 'codec' && roomOf(to) === 'codec' && isSeal(from) !== isSeal(to),
  )
  t.deepEqual(
    wrong,
    [],
    'codec/seal/ imports errors.ts and itself, and only session/ and stores/cookie use it',
  )
})

test('a package is imported only where it belongs: drivers and koa as types or at first use, zod nowhere', (t) => {
  const wrong = files.flatMap(({ name, imports }) =>
    imports.flatMap(({ specifier, target, kind }) => {
      if (target !== undefined) return []
      const rule = packages.find((candidate) => candidate.name.test(specifier))
      if (rule === undefined) return [`src/${name}: no rule allows the package ${specifier}`]
      if (!rule.in.test(name)) return [`src/${name}: ${specifier} may be imported in ${rule.in.source} only`]
      return rule.as.includes(kind)
        ? []
        : [`src/${name}: import ${specifier} as ${rule.as.join(' or ')} instead of ${kind}`]
    }),
  )
  t.deepEqual(wrong, [])
})

test('no files import one another in a circle, types included', (t) => {
  const cycles = cyclesOf(graph).map(
    ({ files: members, shortest }) => `${members.length} files: ${shortest.join(' → ')}`,
  )
  t.deepEqual(cycles, [], 'declare the type that leads back in the lower file, or pass it as an interface')
})

test(`no chain of imports is longer than ${LONGEST_CHAIN} files, testing/ apart`, (t) => {
  const chain = longestChain(withoutTesting(graph))
  t.true(chain.length <= LONGEST_CHAIN, `${chain.length} files: ${chain.join(' → ')}`)
})

test(`src/ has at most ${MOST_ENTRIES} entries, which fit into one look`, (t) => {
  t.true(entries.length <= MOST_ENTRIES, `${entries.length}: ${entries.join(', ')}`)
})

test('no console and no eval: what a library has no business with', (t) => {
  for (const { name, code } of files) {
    t.notRegex(
      code,
      /\bconsole\.|(?<!\.)\beval\(|new Function\(/,
      `src/${name}: report by an event or an error`,
    )
  }
})

test('no file, class or exported type has a name that only its author understands', (t) => {
  const wrong = files.flatMap(({ name, code }) => {
    const base = name.split('/').at(-1) ?? ''
    const declared = code.matchAll(
      /\bclass\s+([A-Z]\w*)|\bexport\s+(?:declare\s+)?(?:type|interface)\s+([A-Z]\w*)/g,
    )
    const named = [base.slice(0, -'.ts'.length), ...[...declared].map(([, one, other]) => one ?? other ?? '')]
    return named.flatMap((each) =>
      wordsOf(each)
        .filter((word) => word in riddles)
        .map((word) => `src/${name}: '${each}' has '${word}' in it; say '${riddles[word]}'`),
    )
  })
  t.deepEqual(wrong, [])
})

test(`src/ says nobody, somebody or whoever at most ${MOST_RIDDLES} times`, (t) => {
  const found = files.flatMap(({ name, text }) => {
    const times = text.match(/\b(?:nobody|somebody|whoever)\b/gi)?.length ?? 0
    return times === 0 ? [] : [{ name, times }]
  })
  const sum = found.reduce((all, { times }) => all + times, 0)
  t.true(
    sum <= MOST_RIDDLES,
    `${sum}: say which request, process or client is meant in ${found.map(({ name, times }) => `src/${name} (${times})`).join(', ')}`,
  )
})

test('the map in CONTRIBUTING.md says of each room what it may import', async (t) => {
  const contributing = await readFile('CONTRIBUTING.md', 'utf8')
  const rows = [...contributing.matchAll(/^\| `src\/([\w.-]+)\/?` \|.*\| (.*) \|$/gm)]
  const written = rows.map(([, room = '', list = '']) => [
    room,
    [...list.matchAll(/`([\w.-]+)\/?`/g)].map(([, name = '']) => name).toSorted(),
  ])
  t.deepEqual(
    Object.fromEntries(written),
    Object.fromEntries(Object.entries(rooms).map(([room, may]) => [room, may.toSorted()])),
  )
})

test('every form of import is seen, and nothing that only looks like one', (t) => {
  const text = `
    // import a from 'comment-1'
    /** {@link import('comment-2').A} and import b from 'comment-3' */
    const quoted = 'import("text-1")', quote = /['\`/*]/, pattern = \`import c from 'text-2'\`
import 'p1'
import d, * as e from "p2"
import type { F } from './p3.ts'
import { type G } from '../p4.ts'
import {
  h, // import i from 'comment-4'
  type J as K,
} from '../codec/p5.ts'
export * from './p6.ts'
export type { L } from './p7.ts'
export const from = 'text-3'
type M = import('./p8.ts').M
const n = async () => import('p9')
`
  const found = importsOf('session/a.ts', codeOf(text))
  t.deepEqual(
    found.map(({ specifier, target, kind }) => [specifier, target, kind]),
    [
      ['p1', undefined, 'value'],
      ['p2', undefined, 'value'],
      ['./p3.ts', 'session/p3.ts', 'type'],
      ['../p4.ts', 'p4.ts', 'value'],
      ['../codec/p5.ts', 'codec/p5.ts', 'value'],
      ['./p6.ts', 'session/p6.ts', 'value'],
      ['./p7.ts', 'session/p7.ts', 'type'],
      ['./p8.ts', 'session/p8.ts', 'call'],
      ['p9', undefined, 'call'],
    ],
  )
  t.throws(() => importsOf('a.ts', 'import(name)'), {
    message: 'src/a.ts: import() must take a string literal',
  })
})

test('cycles are found with the shortest way round, and chains count a cycle as one', (t) => {
  const sample = new Map([
    ['a', ['b', 'f']],
    ['b', ['c']],
    ['c', ['d', 'b']],
    ['d', ['e', 'b']],
    ['e', []],
    ['f', ['f']],
  ])
  t.deepEqual(
    cyclesOf(sample).map(({ files: members, shortest }) => [members.length, shortest]),
    [
      [3, ['b', 'c', 'b']],
      [1, ['f', 'f']],
    ],
  )
  t.deepEqual(longestChain(sample), ['a', '{b, c, d}', 'e'])
})
