import { randomBytes } from 'node:crypto'
import { PostgresStore } from '../../../src/stores/postgres.ts'

/** Raises the number under a key so many times, each time by compare-and-swap: `incrementer.ts url key times`. */
const [url = '', key = '', times = '0'] = process.argv.slice(2)
const store = PostgresStore.fromConfig(url)
let conflicts = 0
for (let done = 0; done < Number(times);) {
  const base = await store.read(key)
  if (base === undefined) throw new Error('nobody is there')
  const number = Number(base.payload.slice(base.payload.lastIndexOf(' '))) + 1
  const payload = `kts1 ${randomBytes(12).toString('base64url')} ${number}`
  const outcome = await store.replace(key, payload, Date.now() + 3_600_000, base)
  if (outcome === 'gone') throw new Error('nobody is there any more')
  if (outcome === 'conflict') conflicts += 1
  else done += 1
}
await store.close()
console.log(JSON.stringify({ conflicts }))
