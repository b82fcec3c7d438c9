// Adds the golden files that are not there yet: `npm run golden`. What is there stays as it is, for good.
import { appendFile, mkdir, writeFile } from 'node:fs/promises'
import { fingerprint } from '../fidelity/fingerprint.ts'
import { folder, goldenNames, goldens, payloadOf, sumOf, sums, textOf } from './golden.ts'

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
for (const name of added) await appendFile(sums, `${await sumOf(name)}\n`)
console.log(added.length === 0 ? 'nothing to add' : `added ${added.length}: ${added.join(', ')}`)
