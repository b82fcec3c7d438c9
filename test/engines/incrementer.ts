// One of several processes that count in one session: `incrementer.ts <provider> <config> <id> <times>`.
import { SessionManager } from '../../src/index.ts'

const [provider = '', providerConfig = '', id = '', times = ''] = process.argv.slice(2)
const manager = new SessionManager({ provider, providerConfig })

for (let done = 0; done < Number(times); done += 1) {
  const session = await manager.open(id)
  if (session.isNew) throw new Error('the session is not there')
  session.update('n', (n = 0) => n + 1)
  const outcome = await manager.commit(session)
  if (outcome !== 'ok') throw new Error(`the commit is ${outcome}`)
}
await manager.close()
