// Runs one act on a store and kills itself at one step of it. Prints the names of the steps if it gets to the end.
import { actsOf, payloads, storeAt } from './operations.ts'
import { dieAt } from './death.ts'

const [folder = '', name = '', variant, step, mode] = process.argv.slice(2)
const [old, fresh] = payloads[Number(variant)] ?? []
const act =
  old === undefined || fresh === undefined ? undefined : new Map(Object.entries(actsOf(old, fresh))).get(name)
if (act === undefined) throw new Error('no such act')

const store = storeAt(folder, act.now, true)
await store.open()
const steps = await dieAt(Number(step), mode)
await act.run(store)
process.stdout.write(steps.join(' '))
