// `npm run structure`: the figures by which one can tell whether `src/` is easy to read. Another folder can be given.
import { cyclesOf, graphOf, longestChain, readSource, roomOf, withoutTesting } from './imports.ts'

const files = await readSource(process.argv[2])
const graph = graphOf(files)

/** Files and lines of each room, and of the folders in it. */
const rooms = new Map<string, { files: number; lines: number }>()
for (const { name, text } of files) {
  const folders = name.split('/').slice(0, -1)
  const entries = folders.length < 2 ? [roomOf(name)] : [roomOf(name), `  ${folders.join('/')}`]
  for (const entry of [...entries, 'all']) {
    const sum = rooms.get(entry) ?? { files: 0, lines: 0 }
    rooms.set(entry, { files: sum.files + 1, lines: sum.lines + text.split('\n').length - 1 })
  }
}
const all = rooms.get('all')
rooms.delete('all')

function row(name: string, count: number | string, lines: number | string): string {
  return `${name.padEnd(24)}${String(count).padStart(6)}${String(lines).padStart(8)}`
}

console.log(`entries of src/: ${new Set(files.map(({ name }) => roomOf(name))).size}\n`)
console.log(row('room', 'files', 'lines'))
for (const [name, sum] of rooms) console.log(row(name, sum.files, sum.lines))
console.log(row('all', all?.files ?? 0, all?.lines ?? 0))

const cycles = cyclesOf(graph)
console.log(`\ngroups of files that import one another, types included: ${cycles.length}`)
for (const { files: members, shortest } of cycles)
  console.log(`  ${members.length} files: ${shortest.join(' → ')}`)

const chain = longestChain(withoutTesting(graph))
console.log(`\nlongest chain of imports, testing/ apart: ${chain.length}`)
for (const name of chain) console.log(`  ${name}`)
