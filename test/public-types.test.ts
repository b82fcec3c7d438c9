// The published declarations: what a program sees of the package without its source.
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import test from 'ava'
import { runCommand, temporaryFolder } from './support/cleanup.ts'

/** A type as the module that declares it and its name there. */
type TypeId = `${string}#${string}`

interface Declarations {
  /** The text of each declaration, by its name. */
  readonly bodies: ReadonlyMap<string, string>
  /** Where the names come from that the module imports or exports again. */
  readonly imports: ReadonlyMap<string, readonly [module: string, name: string]>
  readonly reexports: ReadonlyMap<string, readonly [module: string, name: string]>
  readonly exports: ReadonlySet<string>
}

const folder = await temporaryFolder('kts-declarations-')
await runCommand(process.execPath, [
  'node_modules/typescript/bin/tsc',
  '--project',
  'tsconfig.build.json',
  '--outDir',
  folder,
  '--emitDeclarationOnly',
  '--declarationMap',
  'false',
])
const { exports: exported }: { exports: Record<string, { types: string } | string> } = JSON.parse(
  await readFile('package.json', 'utf8'),
)
const entries = Object.entries(exported).flatMap(([name, entry]) =>
  typeof entry === 'string' ? [] : [[name, path.relative('dist', entry.types)] as const],
)
const modules = new Map<string, Declarations>()
for (const file of await readdir(folder, { recursive: true }))
  if (file.endsWith('.d.ts'))
    modules.set(file, declarationsOf(file, await readFile(path.join(folder, file), 'utf8')))

/** The compiler writes every statement from the first column on, and what is inside of it further right. */
function declarationsOf(file: string, text: string): Declarations {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
  const imports = new Map<string, readonly [string, string]>()
  const reexports = new Map<string, readonly [string, string]>()
  const bodies = new Map<string, string>()
  const exports = new Set<string>()
  for (const statement of code.split(/^(?=\w)/m)) {
    const [, keyword, names, from] =
      /^(import|export) (?:type )?\{([^}]*)\}(?: from '([^']+)')?/.exec(statement) ?? []
    for (const item of names?.split(',') ?? []) {
      const [name = '', as = name] = item
        .trim()
        .replace(/^type /, '')
        .split(' as ')
      if (from?.startsWith('.') === true) {
        const module = path.join(path.dirname(file), from).replace(/\.ts$/, '.d.ts')
        ;(keyword === 'import' ? imports : reexports).set(as, [module, name])
      } else if (keyword === 'export' && from === undefined) exports.add(name)
    }
    const [, modifier, name] =
      /^(export )?(?:declare )?(?:abstract )?(?:class|interface|type|function|const|let) (\w+)/.exec(
        statement,
      ) ?? []
    if (name === undefined || names !== undefined) continue
    bodies.set(name, `${bodies.get(name) ?? ''}${statement}`)
    if (modifier !== undefined) exports.add(name)
  }
  return { bodies, imports, reexports, exports }
}

function moduleOf(file: string): Declarations {
  const found = modules.get(file)
  if (found === undefined) throw new Error(`${file} was not built`)
  return found
}

/** Where a name of a module is declared; `undefined` if it is none of our types. */
function resolve(file: string, name: string): TypeId | undefined {
  const { bodies, imports, reexports } = moduleOf(file)
  if (bodies.has(name)) return `${file}#${name}`
  const source = imports.get(name) ?? reexports.get(name)
  return source && resolve(...source)
}

function exportsOf(file: string): Set<TypeId> {
  const { exports, reexports } = moduleOf(file)
  return new Set([...exports, ...reexports.keys()].flatMap((name) => resolve(file, name) ?? []))
}

const main = exportsOf('index.d.ts')
for (const [entry, file] of entries) {
  test(`${entry} exports each type that its declarations name, or the main entry does`, (t) => {
    const ids = exportsOf(file)
    // What `augment` gives is for Koa's types: test/types.test.ts.
    t.is(ids.size === 0, entry === './augment')
    const missing: string[] = []
    for (const id of ids) {
      const [module = '', name = ''] = id.split('#')
      const body = moduleOf(module).bodies.get(name) ?? ''
      for (const [word] of body.replaceAll(/'[^'\n]*'/g, '').matchAll(/\b[A-Za-z]\w*\b/g)) {
        const named = resolve(module, word)
        if (named !== undefined && !ids.has(named) && !main.has(named)) missing.push(`${name} names ${named}`)
      }
    }
    t.deepEqual([...new Set(missing)], [])
  })
}

test('no internal member is published', async (t) => {
  for (const file of modules.keys())
    t.false((await readFile(path.join(folder, file), 'utf8')).includes('@internal'), file)
})
