import { parseArgs } from 'node:util'
import { SessionError } from '../../src/errors.ts'
import { SessionManager } from '../../src/manager.ts'
import { MysqlStore } from '../../src/stores/mysql.ts'

/** A process that counts a session up so many times, and says how often it had to give up and begin again. */
const { values } = parseArgs({
  options: { url: { type: 'string' }, id: { type: 'string' }, times: { type: 'string' } },
})
const store = MysqlStore.fromConfig(values.url ?? '', { now: Date.now })
const manager = new SessionManager({ store })
let givenUp = 0
for (let turn = 0; turn < Number(values.times);) {
  const session = await manager.open(values.id)
  session.update('n', (n) => Number(n ?? 0) + 1)
  try {
    if ((await manager.commit(session)) === 'ok') turn += 1
  } catch (error) {
    // Nothing was applied, and the client of a request would try again.
    if (!(error instanceof SessionError) || error.code !== 'ERR_SESSION_CONFLICT') throw error
    givenUp += 1
  }
}
process.stdout.write(String(givenUp))
await manager.close()
