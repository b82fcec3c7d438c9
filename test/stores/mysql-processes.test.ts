import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { SessionManager } from '../../src/manager.ts'
import { MysqlStore } from '../../src/stores/mysql.ts'
import { freshDatabase, mariadbServer } from '../servers/mariadb.ts'
import { CLASSIC } from './mysql-harness.ts'

const run = promisify(execFile)
const PROCESSES = Number(process.env['KTS_PROCESSES'] ?? 4)
const TIMES = Number(process.env['KTS_INCREMENTS'] ?? 100)

const server = await mariadbServer()
test.after.always(async () => server.stop())

for (const [kind, setUp] of [
  ['ours', undefined],
  ['the documented one', CLASSIC],
] as const) {
  test.serial(
    `of ${PROCESSES} x ${TIMES} increments by ${PROCESSES} processes none is lost: ${kind}`,
    async (t) => {
      const database = await freshDatabase(server)
      if (setUp !== undefined) await database.sql(setUp)
      const manager = new SessionManager({ store: new MysqlStore({ url: database.url }) })
      const session = await manager.open()
      session.set('n', 0)
      await manager.commit(session)
      const worker = path.join(import.meta.dirname, 'mysql-worker.ts')
      const args = ['--url', database.url, '--id', session.id, '--times', String(TIMES)]
      const node = [`--import=${import.meta.resolve('tsx')}`, worker, ...args]
      const workers = Array.from({ length: PROCESSES }, async () => run(process.execPath, node))
      for (const { stdout, stderr } of await Promise.all(workers)) {
        t.is(stderr, '')
        t.log(`${stdout} commits gave up and were begun again`)
      }
      t.is((await manager.open(session.id)).get('n'), PROCESSES * TIMES)
      await manager.close()
      await database.drop()
    },
  )
}
