/** A process that adds one to a number in a session, so many times: `increments.ts <url> <key> <times>`. */
import { CouchbaseStore } from '../../src/stores/couchbase.ts'

const [url = '', key = '', times = '0'] = process.argv.slice(2)
const store = new CouchbaseStore({ url })
for (let n = 0; n < Number(times); n += 1) {
  for (;;) {
    const base = await store.read(key)
    if (base === undefined) throw new Error('the session is gone')
    const version = `kts1 ${process.pid}-${n}`.padEnd(21, '-').slice(0, 21)
    const sum = Number(base.payload.slice(22)) + 1
    const outcome = await store.replace(key, `${version} ${sum}`, Date.now() + 60_000, base)
    if (outcome === 'gone') throw new Error('the session is gone')
    if (outcome !== 'conflict') break
  }
}
await store.close()
