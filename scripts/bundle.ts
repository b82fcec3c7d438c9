/**
 * Makes `dist` of what the compiler has made: few files of JavaScript with their source maps, since to load a hundred small modules
 * takes a process longer than anything it does with sessions afterwards, and declarations that contain the public names only.
 */
import { chmod, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { decode, encode } from '@jridgewell/sourcemap-codec'
import { rollup, type Plugin } from '@rollup/wasm-node'
import { rolldown } from 'rolldown'
import { dts } from 'rolldown-plugin-dts'

interface Entry {
  readonly types: string
  readonly default: string
}

/** What the compiler has made, by the two commands of `npm run build`. */
const COMPILED = path.resolve('.cache/build')

/** Small modules in one file: what every store needs, and what some engines share. */
const chunks: readonly (readonly [name: string, modules: RegExp])[] = [
  [
    'shared',
    /\/code\/(?:errors|store|nearest-name|session\/tracing|stores\/shared\/(?:deadlines|driver|errors|options|payload-limit))\.js$/,
  ],
  ['engines', /\/code\/stores\/shared\/(?:cas-verbs|pooled-runner)\.js$/],
]

const { exports, bin } = JSON.parse(await readFile('package.json', 'utf8')) as {
  exports: Record<string, Entry | string>
  bin: Record<string, string>
}
const entries = Object.values(exports).flatMap((entry) => (typeof entry === 'string' ? [] : [entry.default]))
/** Entries without their extension: `stores/redis`. */
const names = entries.map(nameOf)
/** Commands, which have no types. */
const commands = Object.values(bin).map(nameOf)

function nameOf(file: string): string {
  return path.relative('dist', file).slice(0, -'.js'.length)
}

async function bundleCode(): Promise<void> {
  const bundle = await rollup({
    input: Object.fromEntries(
      [...names, ...commands].map((name) => [name, path.join(COMPILED, 'code', `${name}.js`)]),
    ),
    external: (name, _from, isResolved) => !isResolved && !name.startsWith('.'),
    plugins: [mapsOfCompiler, ownSubpaths],
    onwarn: (warning) => {
      // Nothing but types: a program that imports it loads an empty module.
      if (warning.code === 'EMPTY_BUNDLE' && warning.names?.join() === 'augment') return
      throw new Error(warning.message)
    },
  })
  const { output } = await bundle.write({
    dir: 'dist',
    chunkFileNames: 'chunks/[name]-[hash].js',
    manualChunks: (id) => chunks.find(([, modules]) => modules.test(id))?.[0],
    // Imports of what other chunks import load no earlier here, and bundlers warn about them.
    hoistTransitiveImports: false,
    sourcemap: true,
    sourcemapExcludeSources: true,
    sourcemapPathTransform: (file) => file.replace(/^(?:\.\.\/)+\.cache\/build\/(?=src\/)/, '../'),
    plugins: [linesOnly],
  })
  await bundle.close()
  for (const { fileName, ...file } of output) {
    if (file.type !== 'chunk' || !file.isEntry) continue
    if (commands.includes(file.name)) await chmod(path.join('dist', fileName), 0o755)
    else await writeWrapper(file.name)
  }
}

/** What `require` of an entry finds: Node loads the module itself, and compilers learn that it may be required. */
async function writeWrapper(entry: string): Promise<void> {
  const module = `'./${path.basename(entry)}.js'`
  await writeFile(path.join('dist', `${entry}.cjs`), `'use strict'\nmodule.exports = require(${module})\n`)
  // The same types, not a copy of them: a class with private fields would be two classes otherwise.
  const hint = 'with "module": "node16" the compiler does not know yet that a module can be required'
  await writeFile(path.join('dist', `${entry}.d.cts`), `// @ts-ignore: ${hint}\nexport * from ${module}\n`)
}

/** Maps lead to the TypeScript, not to what the compiler made of it. */
const mapsOfCompiler: Plugin = {
  name: 'maps-of-compiler',
  async load(id) {
    if (!id.startsWith(COMPILED)) return undefined
    const code = (await readFile(id, 'utf8')).replace(/^\/\/# sourceMappingURL=.*$/m, '')
    return { code, map: await readFile(`${id}.map`, 'utf8') }
  },
}

/** An engine is loaded by its subpath of the package: the folders of the source are not those of `dist`. */
const ownSubpaths: Plugin = {
  name: 'own-subpaths',
  transform(code, id) {
    if (!id.endsWith('/session/providers.js')) return undefined
    const inSource = '`../stores/${engine}.ts`'
    if (code.split(inSource).length !== 2) throw new Error(`${id}: ${inSource} must be there once`)
    // On the same line, so the map of the compiler still holds.
    return { code: code.replace(inSource, '`koa-typed-session/stores/${engine}`'), map: null }
  },
}

/** Source maps by lines, since columns would take three times the space, and stack traces are read by lines. */
const linesOnly: Plugin = {
  name: 'lines-only',
  async writeBundle({ dir = '' }, written) {
    for (const file of Object.keys(written)) {
      if (!file.endsWith('.map')) continue
      const place = path.join(dir, file)
      const map = JSON.parse(await readFile(place, 'utf8')) as { mappings: string; names: string[] }
      const lines = decode(map.mappings).map((line) => {
        const [, source, at, column] = line.find((segment) => segment.length > 1) ?? []
        return source === undefined || at === undefined || column === undefined
          ? []
          : [[0, source, at, column] as [number, number, number, number]]
      })
      await writeFile(place, JSON.stringify({ ...map, names: [], mappings: encode(lines) }))
    }
  },
}

async function bundleTypes(): Promise<void> {
  const bundle = await rolldown({
    input: Object.fromEntries(names.map((name) => [name, path.join(COMPILED, 'types', `${name}.d.ts`)])),
    external: (name) => !name.startsWith('.') && !path.isAbsolute(name),
    plugins: [dts({ dtsInput: true, emitDtsOnly: true, tsconfig: false, sourcemap: false })],
    // On a busy machine it would report that a plugin takes long, which is no fault of what is built.
    checks: { bundlerTimings: false },
    onLog: (_level, { message }) => {
      throw new Error(message)
    },
  })
  const { output } = await bundle.write({
    dir: 'dist',
    chunkFileNames: 'chunks/[name]-[hash].js',
    codeSplitting: { groups: [{ name: 'types.d', minShareCount: 2 }] },
  })
  await bundle.close()
  for (const { fileName } of output) {
    const made = await readFile(path.join('dist', fileName), 'utf8')
    // Where each part came from, which no reader can open.
    await writeFile(path.join('dist', fileName), made.replaceAll(/^\/\/ \.cache\/build\/.*\n/gm, ''))
  }
}

await rm('dist', { recursive: true, force: true })
await bundleCode()
await bundleTypes()
