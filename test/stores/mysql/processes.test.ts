import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { SessionManager } from '../../../src/session/manager.ts'
import { MysqlStore } from '../../../src/stores/mysql.ts'
import { freshDatabase, mariadbServer } from '../../servers/mariadb.ts'
import { CLASSIC } from './harness.ts'

const PROCESSES = Number(process.env['KTS_PROCESSES'] ?? 3)
const TIMES = Number(process.env['KTS_INCREMENTS'] ?? 40)

const server = await mariadbServer()
test.after.always(async () => server.stop())

// On our own table test/engines/processes.test.ts does the same.
test(`F26: in the documented table ${PROCESSES} processes that count in one session lose no increment`, async (t) => {
  const database = await freshDatabase(server)
  await database.sql(CLASSIC)
  const manager = new SessionManager({ store: new MysqlStore({ url: database.url }) })
  const session = manager.begin().set('n', 0)
  await manager.commit(session)
  const script = path.resolve('test/engines/incrementer.ts')
  const args = ['--import=tsx', script, 'process', 'mysql', database.url, session.id, String(TIMES)]
  await Promise.all(
    Array.from({ length: PROCESSES }, async () => promisify(execFile)(process.execPath, args)),
  )
  t.is((await manager.open(session.id)).get('n'), PROCESSES * TIMES)
  await manager.close()
  await database.drop()
})
