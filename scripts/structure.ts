// `npm run structure`: the figures that say how easy `src/` is to read. `-- <folder>` measures another folder.
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

const cycles = cyclesOf(graph)
const chain = longestChain(withoutTesting(graph))
console.log(
  [
    `entries of src/: ${new Set(files.map(({ name }) => roomOf(name))).size}`,
    '',
    row('room', 'files', 'lines'),
    ...[...rooms].map(([name, sum]) => row(name, sum.files, sum.lines)),
    row('all', all?.files ?? 0, all?.lines ?? 0),
    '',
    `groups of files that import one another, types included: ${cycles.length}`,
    ...cycles.map(({ files: members, shortest }) => `  ${members.length} files: ${shortest.join(' → ')}`),
    '',
    `longest chain of imports, testing/ apart: ${chain.length}`,
    ...chain.map((name) => `  ${name}`),
  ].join('\n'),
)
