// Gives a session a new ID through the manager and kills itself at one step of it. Prints the new ID before, and the
// names of the steps if it gets to the end.
import { hash } from 'node:crypto'
import { writeSync } from 'node:fs'
import { hashId } from '../../../src/session/id.ts'
import { SessionManager } from '../../../src/session/manager.ts'
import { HOUR, START, storeAt } from './operations.ts'
import { dieAt } from './death.ts'

const [folder = '', id = '', step, mode] = process.argv.slice(2)
const now = (): number => START + HOUR
const manager = new SessionManager({ store: storeAt(folder, now(), true), now, sweepInterval: 0 })

/** The folder of a session's record. If both IDs had the same one, the process would have a step less to make. */
const shelfOf = (sessionId: string): string => hash('sha256', hashId(sessionId), 'hex').slice(0, 2)

let session = await manager.open(id)
session.regenerate()
while (shelfOf(session.id) === shelfOf(id)) {
  session = await manager.open(id)
  session.regenerate()
}
session.update('visits', (visits = 0) => visits + 1)
writeSync(1, `${session.id}\n`)
const steps = await dieAt(Number(step), mode)
await manager.commit(session)
process.stdout.write(steps.join(' '))
