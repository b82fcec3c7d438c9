// `node bundle.js <bundler> <entry> <folder>` makes one program of `entry` in `folder`, as the pages of that bundler say for programs
// of Node, and prints its file and the bundler's warnings as JSON.
import { writeFile } from 'node:fs/promises'
import path from 'node:path'

const [bundler = '', entry = '', folder = ''] = process.argv.slice(2)
const context = path.dirname(entry)

const bundlers = {
  'esbuild to CommonJS': async () => esbuild('cjs'),
  'esbuild to a module': async () => esbuild('esm'),

  async rolldown() {
    const { rolldown } = await import('rolldown')
    const warnings = []
    const bundle = await rolldown({
      input: entry,
      platform: 'node',
      onLog: (_level, log) => warnings.push(log.message),
    })
    await bundle.write({ dir: folder, entryFileNames: 'program.mjs', minify: true })
    return { file: 'program.mjs', warnings }
  },

  async rollup() {
    const { rollup } = await import('rollup')
    const { default: commonjs } = await import('@rollup/plugin-commonjs')
    const { default: json } = await import('@rollup/plugin-json')
    const { default: nodeResolve } = await import('@rollup/plugin-node-resolve')
    const warnings = []
    const bundle = await rollup({
      input: entry,
      plugins: [nodeResolve({ preferBuiltins: true, exportConditions: ['node'] }), commonjs(), json()],
      onwarn: ({ code, message }) => {
        if (code !== 'CIRCULAR_DEPENDENCY') warnings.push(message)
      },
    })
    await bundle.write({ dir: folder, format: 'es', entryFileNames: 'program.mjs' })
    return { file: 'program.mjs', warnings }
  },

  async webpack() {
    const { default: webpack } = await import('webpack')
    const compiler = webpack({
      mode: 'production',
      target: 'node20',
      context,
      entry,
      output: { path: folder, filename: 'program.cjs' },
    })
    const stats = await new Promise((resolve, reject) => {
      compiler.run((error, result) => (error === null ? resolve(result) : reject(error)))
    })
    const { errors = [], warnings = [] } = stats.toJson({ all: false, errors: true, warnings: true })
    if (errors.length > 0) throw new Error(errors.map(({ message }) => message).join('\n'))
    return { file: 'program.cjs', warnings: warnings.map(({ message }) => message) }
  },

  async vite() {
    const { build } = await import('vite')
    const warnings = []
    await build({
      root: context,
      configFile: false,
      logLevel: 'silent',
      ssr: { noExternal: true },
      build: {
        ssr: entry,
        outDir: folder,
        rollupOptions: {
          output: { entryFileNames: 'program.mjs' },
          onwarn: ({ message }) => warnings.push(message),
        },
      },
    })
    return { file: 'program.mjs', warnings }
  },

  async ncc() {
    const { default: ncc } = await import('@vercel/ncc')
    const file = 'program.mjs'
    const { code, assets, err } = await ncc(entry, { quiet: true, minify: true, filename: file })
    if (err) throw new Error(err)
    await writeFile(path.join(folder, file), code)
    for (const [name, { source }] of Object.entries(assets)) await writeFile(path.join(folder, name), source)
    return { file, warnings: [] }
  },
}

async function esbuild(format) {
  const { build } = await import('esbuild')
  const file = format === 'cjs' ? 'program.cjs' : 'program.mjs'
  const { warnings } = await build({
    absWorkingDir: context,
    entryPoints: [entry],
    bundle: true,
    minify: true,
    platform: 'node',
    format,
    outfile: path.join(folder, file),
    logLevel: 'silent',
    // Koa is CommonJS, and a module has no `require`.
    ...(format === 'esm' && {
      banner: {
        js: "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url)",
      },
    }),
  })
  return { file, warnings: warnings.map(({ text }) => text) }
}

const make = bundlers[bundler]
if (make === undefined) throw new Error(`there is no bundler ${bundler}`)
console.log(JSON.stringify(await make()))
