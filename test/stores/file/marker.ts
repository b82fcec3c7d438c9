// Puts marks into one session, each by compare-and-swap, beside others that do the same. Prints each one once it is stored.
import { randomBytes } from 'node:crypto'
import { writeSync } from 'node:fs'
import { FileStore } from '../../../src/stores/file.ts'

const [folder = '', key = '', name = '', times] = process.argv.slice(2)
const store = new FileStore({ folder, sync: false })

for (let done = 0; done < Number(times);) {
  const base = await store.read(key)
  if (base === undefined) throw new Error('the session is gone')
  const mark = `${name}.${done}`
  const payload = `kts1 ${randomBytes(12).toString('base64url')}${base.payload.slice(21)} ${mark}`
  const outcome = await store.replace(key, payload, base.expiresAt + 1, base)
  if (outcome === 'gone') throw new Error('the session is gone')
  if (outcome === 'conflict') continue
  writeSync(1, `${mark}\n`)
  done += 1
}
