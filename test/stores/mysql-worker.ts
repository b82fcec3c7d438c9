import { parseArgs } from 'node:util'
import { SessionManager } from '../../src/manager.ts'
import { MysqlStore } from '../../src/stores/mysql.ts'

/** A process that counts a session up so many times, and says when it is done. */
const { values } = parseArgs({
  options: { url: { type: 'string' }, id: { type: 'string' }, times: { type: 'string' } },
})
const store = MysqlStore.fromConfig(values.url ?? '', { now: Date.now })
const manager = new SessionManager({ store })
for (let turn = 0; turn < Number(values.times); turn += 1) {
  const session = await manager.open(values.id)
  session.update('n', (n) => Number(n ?? 0) + 1)
  const outcome = await manager.commit(session)
  if (outcome !== 'ok') throw new Error(`a commit answered ${outcome}`)
}
await manager.close()
