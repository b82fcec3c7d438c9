// What the session object of koa-typed-session/compat costs above the typed session: one read and one write of a key.
import { RequestObject } from '../src/compat/request-object.ts'
import { resolveCompatOptions } from '../src/compat/options.ts'
import { SessionManager } from '../src/index.ts'

const CALLS = 200_000
const ROUNDS = 15

const manager = new SessionManager({ isolation: 'last-wins' })
const typed = manager.begin().set('views', 1)
const { settings } = resolveCompatOptions({})
// Nothing of a context is needed to read and write.
const object = new RequestObject({} as never, settings, () => typed).use()
if (object === null || object === undefined) throw new Error('there is no object')

let sink: unknown
const calls: Readonly<Record<string, (call: number) => void>> = {
  'get()': () => void (sink = typed.get('views')),
  'object.views': () => void (sink = object['views']),
  'set()': (call) => void typed.set('views', call & 1023),
  'object.views =': (call) => void (object['views'] = call & 1023),
}

const least = new Map<string, number>()
for (let round = 0; round < ROUNDS; round += 1) {
  for (const [name, call] of Object.entries(calls)) {
    const begun = process.hrtime.bigint()
    for (let at = 0; at < CALLS; at += 1) call(at)
    const each = Number(process.hrtime.bigint() - begun) / CALLS
    least.set(name, Math.min(least.get(name) ?? Infinity, each))
  }
}
console.log(`ns for each, the least of ${ROUNDS} rounds (${String(sink)})`)
for (const [name, ns] of least) console.log(name.padEnd(16), ns.toFixed(0).padStart(6))
