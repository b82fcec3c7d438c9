// Increments a number in one session so many times, beside other processes that do the same.
import { SessionManager } from '../../../src/manager.ts'
import { parseRedisConfig, type RedisMode } from '../../../src/stores/internal/redis-config.ts'
import { RedisStore } from '../../../src/stores/redis.ts'

const [url = '', mode = 'single', id = '', times] = process.argv.slice(2)
const manager = new SessionManager({ store: new RedisStore({ url, mode: modeOf(mode) }) })

for (let done = 0; done < Number(times); done += 1) {
  const session = await manager.open(id)
  if (session.isNew) throw new Error('the session is gone')
  session.update('n', (n: number) => n + 1)
  if ((await manager.commit(session)) !== 'ok') throw new Error('the session is gone')
}
await manager.close()

function modeOf(text: string): RedisMode {
  if (text === 'single' || text === 'cluster' || text === 'sentinel') return parseRedisConfig(url, text).mode
  throw new Error('no such mode')
}
