import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import path from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { SessionManager } from '../../../src/session/manager.ts'
import { PostgresStore } from '../../../src/stores/postgres.ts'
import { CLASSIC_TABLE, emptyDatabase, postgresServer } from '../../servers/postgres.ts'

const server = await postgresServer()
const [own, classic] = [await emptyDatabase(server), await emptyDatabase(server)]
await classic.query(CLASSIC_TABLE)
test.after.always(async () => {
  await Promise.all([own.drop(), classic.drop()])
  await server.stop()
})

const PROCESSES = Number(process.env['KTS_PROCESSES'] ?? 3)
const TIMES = Number(process.env['KTS_INCREMENTS'] ?? 40)
const HOUR = 3_600_000

// On our own table test/engines/processes.test.ts does the same.
test.serial(
  `F26: in the classic table ${PROCESSES} processes that count in one session lose no increment`,
  async (t) => {
    const manager = new SessionManager({ provider: 'postgres', providerConfig: classic.url })
    const session = manager.begin().set('n', 0)
    await manager.commit(session)
    const script = path.resolve('test/engines/incrementer.ts')
    const args = ['--import=tsx', script, 'process', 'postgres', classic.url, session.id, String(TIMES)]
    await Promise.all(
      Array.from({ length: PROCESSES }, async () => promisify(execFile)(process.execPath, args)),
    )
    t.is((await manager.open(session.id)).get('n'), PROCESSES * TIMES)
    await manager.close()
  },
)

for (const [kind, database] of [
  ['our own table', own],
  ['the classic table', classic],
] as const) {
  test.serial(
    `${kind}: a payload of any size is returned unchanged, with and without prepared statements`,
    async (t) => {
      for (const prepare of [false, true]) {
        const store = new PostgresStore({ url: database.url, prepare })
        for (const kilobytes of [0.1, 10, 60, 1_000]) {
          for (const text of [
            // What compresses and what does not, and characters of several bytes.
            randomBytes(kilobytes * 750).toString('base64'),
            'größer 😀 '.repeat(kilobytes * 70),
          ]) {
            const key = randomBytes(32).toString('hex')
            const payload = `kts1 ${randomBytes(12).toString('base64url')} ${text}`
            await store.create(key, 'kts1 0123456789abcdef x', Date.now() + HOUR)
            const small = await store.read(key)
            if (small === undefined) throw new Error('there is no entry')
            t.is(typeof (await store.replace(key, payload, Date.now() + HOUR, small)), 'object')
            const entry = await store.read(key)
            t.true(entry?.payload === payload, `${kilobytes} KB`)
            t.is(await store.destroy(key, small), 'conflict')
            t.is(await store.destroy(key, entry), 'ok')
          }
        }
        await store.close()
      }
    },
  )
}

test.serial(
  'what is too large is refused before anything is sent, with both sizes in the text',
  async (t) => {
    const store = new PostgresStore({ url: 'postgres://127.0.0.1:1/nowhere' })
    const large = `kts1 0123456789abcdef${'é'.repeat(8 * 1024 * 1024)}`
    for (const [verb, call] of [
      ['create', async () => store.create('key', large, Date.now() + HOUR)],
      [
        'replace',
        async () => store.replace('key', large, Date.now() + HOUR, { payload: large, expiresAt: 0 }),
      ],
    ] as const) {
      const error = await t.throwsAsync(call, {
        message: `postgres: ${verb} refused, the payload has 16777237 bytes and may have 16777216`,
      })
      t.like(error, { code: 'ERR_SESSION_LIMIT' })
    }
    await store.close()
  },
)
