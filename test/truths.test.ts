// What is written down twice is compared.
import { randomBytes } from 'node:crypto'
import { access, readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import test from 'ava'
import type { StoreTraits } from '../src/store.ts'
import { CookieStore } from '../src/stores/cookie.ts'
import { CouchbaseStore } from '../src/stores/couchbase.ts'
import { FileStore } from '../src/stores/file.ts'
import { MemcacheStore } from '../src/stores/memcache.ts'
import { MemoryStore } from '../src/stores/memory.ts'
import { MysqlStore } from '../src/stores/mysql.ts'
import { PostgresStore } from '../src/stores/postgres.ts'
import { RedisStore } from '../src/stores/redis.ts'
import { SqliteStore } from '../src/stores/sqlite.ts'

const manifest: unknown = JSON.parse(await readFile('package.json', 'utf8'))
if (typeof manifest !== 'object' || manifest === null) throw new Error('package.json')
const field = (name: string): Record<string, unknown> => {
  const value: unknown = Reflect.get(manifest, name)
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {}
}
const readme = await readFile('README.md', 'utf8')
const storeNames = (await readdir('src/stores'))
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.slice(0, -3))

test('each file in src/stores is an export of the package, and each store among the exports is a file', (t) => {
  const exported = Object.keys(field('exports'))
    .filter((name) => name.startsWith('./stores/'))
    .map((name) => name.slice('./stores/'.length))
  t.deepEqual(exported.toSorted(), storeNames.toSorted())
})

/** Subpaths that are a room with an `index.ts`. */
const INDEXED: ReadonlySet<string> = new Set(['.', './testing', './compat', './migrate', './opentelemetry'])

test('each subpath of the package is a file of src/ or a room with an index.ts', async (t) => {
  const entries = Object.entries(field('exports')).filter(([name]) => name !== './package.json')
  t.true(entries.length > 5)
  const versions: Record<string, unknown> = Object(field('typesVersions')['*'])
  t.is(Object.keys(versions).length, entries.length - 1)
  t.is(Reflect.get(manifest, 'main'), './dist/index.js')
  for (const [name, entry] of entries) {
    const file = INDEXED.has(name) ? `${name}/index` : name
    const built = path.posix.join('dist', file)
    t.deepEqual(entry, {
      require: { types: `./${built}.d.cts`, default: `./${built}.cjs` },
      types: `./${built}.d.ts`,
      default: `./${built}.js`,
    })
    // What compilers read that do not know `exports`: moduleResolution node10.
    if (name === '.') t.is(Reflect.get(manifest, 'types'), `./${built}.d.ts`)
    else t.deepEqual(versions[name.slice('./'.length)], [`./${built}.d.ts`], name)
    await t.notThrowsAsync(access(path.join('src', `${file}.ts`)), name)
  }
})

test('each store has its class, its options, its test, its row in the README and its page', async (t) => {
  const pages = await readdir('docs/stores')
  const tests = await readdir('test/stores')
  for (const name of storeNames) {
    const source = await readFile(`src/stores/${name}.ts`, 'utf8')
    const [, declared = ''] = /export class (\w+)Store\b/.exec(source) ?? []
    t.is(declared.toLowerCase(), name)
    t.regex(source, new RegExp(`export (?:interface|type) (?:\\{[^}]*)?\\b${declared}StoreOptions\\b`))
    t.true(tests.includes(`${name}.test.ts`), `test/stores/${name}.test.ts`)
    t.true(pages.includes(`${name}.md`), `docs/stores/${name}.md`)
    t.regex(readme, new RegExp(`^\\| ${declared} \\|.*koa-typed-session/stores/${name}`, 'mi'))
  }
})

test("the README's table of stores says what their traits say", (t) => {
  const stores: Record<string, StoreTraits> = {
    Memory: new MemoryStore().traits,
    Cookie: new CookieStore({ keys: [randomBytes(32)] }).traits,
    File: new FileStore({ folder: './x' }).traits,
    SQLite: new SqliteStore({ path: './x/y.db' }).traits,
    Redis: new RedisStore({ url: 'redis://127.0.0.1' }).traits,
    Memcache: new MemcacheStore({ url: '127.0.0.1:11211' }).traits,
    MySQL: new MysqlStore({ url: 'mysql://user@127.0.0.1/db' }).traits,
    Postgres: new PostgresStore({ url: 'postgres://user@127.0.0.1/db' }).traits,
    Couchbase: new CouchbaseStore({ url: 'couchbase://user:password@127.0.0.1/default' }).traits,
  }
  for (const [name, traits] of Object.entries(stores)) {
    const row = readme.split('\n').find((line) => line.startsWith(`| ${name} |`))
    const cells = row?.split('|').map((cell) => cell.trim())
    t.is(cells?.[4], traits.shared ? 'yes' : 'no', `${name}: shared`)
    t.is(cells?.[5], traits.durable ? 'yes' : 'no', `${name}: durable`)
    t.true(cells?.[6]?.includes(traits.resolution === 1 ? 'ms' : 'second'), `${name}: resolution`)
  }
})

test('each setting of the README exists, and each error code has its line', async (t) => {
  const options =
    (await readFile('src/session/options.ts', 'utf8')) + (await readFile('src/koa/options.ts', 'utf8'))
  const [, table = ''] = /## Settings[\s\S]*?\n((?:\|.*\n)+)/.exec(readme) ?? []
  const rows = table.split('\n').slice(2).filter(Boolean)
  t.true(rows.length > 5)
  for (const row of rows) {
    for (const [, name = ''] of (row.split('|')[1] ?? '').matchAll(/`(\w+)`/g)) {
      t.regex(options, new RegExp(`readonly ${name}\\?:`), name)
    }
  }
  const errors = await readFile('src/errors.ts', 'utf8')
  const codes = [...errors.matchAll(/^ {2}\| '(ERR_SESSION_\w+)'/gm)].map(([, code = '']) => code)
  t.is(codes.length, 9)
  for (const code of codes) t.true(errors.includes(` * - \`${code}\` – `), code)
})

test('each process warning has its row in docs/operations.md', async (t) => {
  const sources = await readdir('src', { recursive: true })
  const texts = sources.filter((name) => name.endsWith('.ts')).map((name) => readFile(`src/${name}`, 'utf8'))
  const given = [...(await Promise.all(texts)).join('').matchAll(/'(KTS_[A-Z_]+)'/g)].map(([, code]) => code)
  const operations = await readFile('docs/operations.md', 'utf8')
  const written = [...operations.matchAll(/^\| `(KTS_[A-Z_]+)` \|/gm)].map(([, code]) => code)
  t.deepEqual(written.toSorted(), [...new Set(given)].toSorted())
})

test('each command of CONTRIBUTING is a script of the package', async (t) => {
  const contributing = await readFile('CONTRIBUTING.md', 'utf8')
  const scripts = field('scripts')
  const named = [...contributing.matchAll(/npm run ([\w:-]+)/g)].map(([, name = '']) => name)
  t.true(named.length > 3)
  for (const name of named) t.true(name in scripts, name)
})

test('each file that the map of the source names is there', async (t) => {
  for (const page of ['CONTRIBUTING.md', 'docs/decisions/0016-how-the-source-is-laid-out.md']) {
    const text = await readFile(page, 'utf8')
    // Paths begin in the root or, as in the diagram, in `src/`. One with a `<name>` in it names no file.
    const named = [
      ...text.matchAll(/(?<![\w./<>-])[\w-]+(?:\/[\w.-]+)*\.(?:ts|md|json|yaml)\b|`[\w./-]+\/`/g),
    ]
    t.true(named.length > 10, page)
    for (const [quoted] of named) {
      const name = quoted.replaceAll('`', '')
      const found = await Promise.any([access(name), access(`src/${name}`)]).then(
        () => true,
        () => false,
      )
      t.true(found, `${page} names ${name}, which is neither in the root nor in src/: say where it is now`)
    }
  }
})

test('each question about the source has its answer in a file of src/', async (t) => {
  const text = await readFile('docs/decisions/0016-how-the-source-is-laid-out.md', 'utf8')
  const rows = [...text.matchAll(/^\| (Where .*\?) \| `(.*)` \|$/gm)]
  t.is(rows.length, 10)
  for (const [, question, file = ''] of rows) t.true(file.startsWith('src/'), question)
})

test('each dependency has its reason in SECURITY.md, and brings what stands there', async (t) => {
  const security = await readFile('SECURITY.md', 'utf8')
  const rows = [...security.matchAll(/^\| `([^`]+)` \|.*\| (.*) \|$/gm)].map(([, name, brought]) => [
    name,
    brought,
  ])
  const installed = Object.keys(field('dependencies')).map(async (name) => {
    const names = [...new Set(await below(name))].toSorted()
    return [name, names.length === 0 ? 'nothing' : names.map((each) => `\`${each}\``).join(', ')]
  })
  t.deepEqual(rows, await Promise.all(installed))
})

/** What a package depends on, all the way down. */
async function below(name: string): Promise<string[]> {
  const text = await readFile(`node_modules/${name}/package.json`, 'utf8')
  const { dependencies = {} }: { dependencies?: Record<string, string> } = JSON.parse(text)
  const deeper = await Promise.all(
    Object.keys(dependencies).map(async (each) => [each, ...(await below(each))]),
  )
  return deeper.flat()
}
