// Gives a session a new ID through the manager and kills itself at one step of it. Prints the new ID before, and the
// names of the steps if it gets to the end.
import { writeSync } from 'node:fs'
import { SessionManager } from '../../../src/session/manager.ts'
import { HOUR, START, storeAt } from './operations.ts'
import { dieAt } from './death.ts'

const [folder = '', id = '', step, mode] = process.argv.slice(2)
const now = (): number => START + HOUR
const manager = new SessionManager({ store: storeAt(folder, now(), true), now, sweepInterval: 0 })
const session = await manager.open(id)
session.update('visits', (visits = 0) => visits + 1)
session.regenerate()
writeSync(1, `${session.id}\n`)
const steps = await dieAt(Number(step), mode)
await manager.commit(session)
process.stdout.write(steps.join(' '))
