// Increments a number in one session so many times, each by compare-and-swap, beside others that do the same.
import { randomBytes } from 'node:crypto'
import { FileStore } from '../../../src/stores/file.ts'

const [folder = '', key = '', times] = process.argv.slice(2)
const store = new FileStore({ folder, sync: false })

for (let done = 0; done < Number(times);) {
  const base = await store.read(key)
  if (base === undefined) throw new Error('the session is gone')
  const payload = `kts1 ${randomBytes(12).toString('base64url')} ${Number(base.payload.slice(22)) + 1}`
  const outcome = await store.replace(key, payload, base.expiresAt + 1, base)
  if (outcome === 'gone') throw new Error('the session is gone')
  if (outcome !== 'conflict') done += 1
}
