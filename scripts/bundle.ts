/**
 * Puts the JavaScript that the compiler has made into few files: one for each entry of `exports`, and chunks of what they
 * share. To load a hundred small modules takes a process longer than anything it does with sessions afterwards.
 */
import { readdir, readFile, rm } from 'node:fs/promises'
import path from 'node:path'
import { rollup } from '@rollup/wasm-node'

interface Entry {
  readonly default: string
}

const { exports } = JSON.parse(await readFile('package.json', 'utf8')) as {
  exports: Record<string, Entry | string>
}
const entries = Object.values(exports).flatMap((entry) => (typeof entry === 'string' ? [] : [entry.default]))
const bundle = await rollup({
  input: Object.fromEntries(
    entries.map((file) => [path.relative('dist', file).slice(0, -'.js'.length), file]),
  ),
  external: (name, _from, isResolved) => !isResolved && !name.startsWith('.'),
  onwarn: (warning) => {
    // Nothing but types: a program that imports it loads an empty module.
    if (warning.code === 'EMPTY_BUNDLE' && warning.names?.join() === 'augment') return
    throw new Error(warning.message)
  },
})
for (const file of await readdir('dist', { recursive: true }))
  if (file.endsWith('.js')) await rm(path.join('dist', file))
await bundle.write({ dir: 'dist', chunkFileNames: 'chunks/[name]-[hash].js' })
