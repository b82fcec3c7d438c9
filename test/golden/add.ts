// Adds the golden files that do not exist yet: `npm run golden`. Existing files are never changed.
import { appendFile, mkdir, writeFile } from 'node:fs/promises'
import { FileStore } from '../../src/stores/file.ts'
import { fingerprint } from '../fidelity/fingerprint.ts'
import {
  folder,
  goldenNames,
  goldens,
  kept,
  keptUntil,
  payloadOf,
  readGolden,
  shelves,
  sumOf,
  sums,
  textOf,
} from './golden.ts'

await mkdir(folder, { recursive: true })
const there = new Set(await goldenNames())
const added: string[] = []
for (const golden of goldens) {
  if (there.has(golden.name)) continue
  there.add(golden.name)
  const value = fingerprint(new Map(golden.entries.map(([key, make]) => [key, make()])))
  await writeFile(`${folder}/${golden.name}.txt`, textOf(payloadOf(golden), value), { flag: 'wx' })
  added.push(golden.name)
}
const store = new FileStore({ folder: shelves })
for (const name of kept) await store.create(name, (await readGolden(name)).payload, keptUntil)
for (const name of added) await appendFile(sums, `${await sumOf(name)}\n`)
console.log(added.length === 0 ? 'nothing to add' : `added ${added.length}: ${added.join(', ')}`)
