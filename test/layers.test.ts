import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import test from 'ava'

/** Who may import what: the first pattern that fits a file holds. Ours by path below src/, others by package. */
const layers: readonly { file: RegExp; ours: RegExp; others: RegExp; dynamic?: RegExp }[] = [
  { file: /^store\.ts$/, ours: /^$/, others: /^$/ },
  {
    file: /^(errors|session\/(id|events)|koa\/(ini|cookie-header|cookie-chunks|error-headers))\.ts$/,
    ours: /^(errors|koa\/cookie-header)\.ts$/,
    others: /^node:/,
  },
  {
    file: /^stores\/cookie(\.ts$|\/)/,
    ours: /^(store|errors)\.ts$|^stores\/(cookie|shared)\/|^codec\/seal\//,
    others: /^node:/,
  },
  {
    file: /^stores\//,
    ours: /^(store|errors)\.ts$|^stores\/[a-z]+\//,
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
    file: /^testing\/simulation\//,
    ours: /^(store|errors|registry|session\/(id|manager|session))\.ts$|^codec\/|^testing\//,
    others: /^node:/,
  },
  { file: /^testing\//, ours: /^(store|errors)\.ts$|^testing\//, others: /^node:/ },
  {
    file: /^session\/providers\.ts$/,
    ours: /^(errors|store)\.ts$|^stores\/[a-z]+\.ts$|^stores\/cookie\/config\.ts$/,
    others: /^$/,
  },
  { file: /^session\/manager\.ts$/, ours: /^(?!koa|stores\/(?!shared\/deadlines\.))/, others: /^$/ },
  {
    file: /^session\/((resolve|check)-)?options\.ts$/,
    ours: /^(?!koa\/(middleware|transport)|session\/manager\.|stores)/,
    others: /^node:/,
  },
  {
    file: /^session\//,
    ours: /^(?!koa|session\/(manager|providers|(resolve-|check-)?options)\.|stores\/(?!shared\/deadlines\.))/,
    others: /^node:/,
  },
  {
    file: /^koa\/(options|config|transport)\.ts$/,
    ours: /^(?!koa\/middleware|session\/manager\.|stores)/,
    others: /^(cookie|node:)/,
  },
  { file: /^koa\//, ours: /^(?!stores)/, others: /^$/ },
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

test('no timer, no console, no eval: what a library has no business with', (t) => {
  for (const [file, source] of sources) {
    const code = source.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
    t.notRegex(code, /\bconsole\.|(?<!\.)\beval\(|new Function\(/, file)
  }
})
