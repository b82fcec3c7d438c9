import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import test from 'ava'

/** Who may import what: the first pattern that fits a file holds. Ours by path below src/, others by package. */
const layers: readonly { file: RegExp; ours: RegExp; others: RegExp; dynamic?: RegExp }[] = [
  { file: /^store\.ts$/, ours: /^$/, others: /^$/ },
  {
    file: /^(errors|id|events|ini|cookie-header|pieces|error-headers)\.ts$/,
    ours: /^(errors|cookie-header)\.ts$/,
    others: /^node:/,
  },
  {
    file: /^stores\/(internal\/)?cookie/,
    ours: /^(store|errors)\.ts$|^stores\/internal\/|^codec\/(seal|key-ring|weakness)\.ts$/,
    others: /^node:/,
  },
  {
    file: /^stores\//,
    ours: /^(store|errors)\.ts$|^stores\/internal\//,
    others: /^node:/,
    dynamic: /^(ioredis|mysql2\/promise|pg|pg-connection-string|memjs|couchbase)$/,
  },
  {
    file: /^(registry\.ts|codec\/)/,
    ours: /^(errors|registry)\.ts$|^codec\//,
    others: /^(superjson|zod|node:)/,
  },
  // The walks look at whole sessions: they go through a real manager, and read payloads to see what was stored.
  {
    file: /^testing\/walks\//,
    ours: /^(store|errors|id|manager|registry|session)\.ts$|^codec\/|^testing\//,
    others: /^node:/,
  },
  { file: /^testing\//, ours: /^(store|errors)\.ts$|^testing\//, others: /^node:/ },
  {
    file: /^(sealed-store|schema|settings|draft|slot|rebase|session|session-state|port|turns|sweeper|guarded-store|committer|contest|regeneration|life|attributes|visit|retirement|renewal|ending|lookup|writer|calls|loads|breaker|deadlines|steps|health)\.ts$/,
    ours: /^(?!middleware|manager|options|transport|providers|stores)/,
    others: /^node:/,
  },
  {
    file: /^providers\.ts$/,
    ours: /^(errors|store)\.ts$|^stores\/[a-z]+\.ts$|^stores\/internal\/cookie-config\.ts$/,
    others: /^$/,
  },
  {
    file: /^(options|options-check|manager-settings|middleware-settings|config|transport)\.ts$/,
    ours: /^(?!middleware|manager|stores)/,
    others: /^(cookie|node:)/,
  },
  { file: /^manager\.ts$/, ours: /^(?!middleware|transport|stores)/, others: /^$/ },
  { file: /^(middleware|context|delivery)\.ts$/, ours: /^(?!stores)/, others: /^$/ },
  { file: /^index\.ts$/, ours: /./, others: /^$/ },
]
/** Types cost nothing at run time and bind nobody: these may be named anywhere above the stores. */
const types = /^(koa|zod|node:.*|ioredis|mysql2.*|pg|memjs|couchbase)$/

const files = (await readdir('src', { recursive: true })).filter((name) => name.endsWith('.ts')).toSorted()
const sources = await Promise.all(
  files.map(async (file) => [file, await readFile(path.join('src', file), 'utf8')] as const),
)

for (const [file, source] of sources) {
  test(`src/${file} imports only what its layer may`, (t) => {
    const layer = layers.find((candidate) => candidate.file.test(file))
    if (layer === undefined) return t.fail('no layer names this file')
    for (const [, typeOnly, from = ''] of source.matchAll(
      /^(?:import|export) (type )?[^'"]*?from '([^']+)'/gms,
    )) {
      if (from.startsWith('.')) {
        const target = path.join(path.dirname(file), from)
        const sameFolder = path.dirname(target) === path.dirname(file) && path.dirname(file) !== '.'
        t.true(layer.ours.test(target) || sameFolder || typeOnly !== undefined, `${file} → ${target}`)
        if (file === 'store.ts') t.fail(`store.ts imports ${target}`)
      } else if (typeOnly === undefined) t.regex(from, layer.others, `${file} → ${from}`)
      else t.true(types.test(from) || layer.others.test(from), `${file} → type ${from}`)
    }
    for (const [, from = ''] of source.matchAll(/\bimport\('([^']+)'\)/g)) {
      t.true(from.startsWith('.') || layer.dynamic?.test(from) === true, `${file} → import('${from}')`)
    }
    return t.pass()
  })
}

test('no file is longer than a noun should be', (t) => {
  const long = sources.filter(([, source]) => source.split('\n').length > 260).map(([file]) => file)
  t.deepEqual(long, [])
})

test('no timer, no console, no eval: what a library has no business with', (t) => {
  for (const [file, source] of sources) {
    const code = source.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
    t.notRegex(code, /\bconsole\.|(?<!\.)\beval\(|new Function\(/, file)
  }
})
