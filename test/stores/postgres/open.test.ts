// What `open` proves: that every verb would be carried out.
import test, { type ExecutionContext } from 'ava'
import { Pool } from 'pg'
import { PostgresStore, type PostgresStoreOptions } from '../../../src/stores/postgres.ts'
import { CLASSIC_TABLE, emptyDatabase, postgresServer, type Database } from '../../servers/postgres.ts'

const RIGHTS = ['SELECT', 'INSERT', 'UPDATE', 'DELETE']
const server = await postgresServer()
test.after.always(async () => server.stop())

async function database(t: ExecutionContext): Promise<Database> {
  const made = await emptyDatabase(server)
  t.teardown(async () => made.drop())
  return made
}

/** The address for a user with these rights on the table. */
async function asUser({ urlFor }: Database, rights: readonly string[]): Promise<string> {
  return urlFor([
    "CREATE ROLE shop LOGIN PASSWORD 'password'",
    'GRANT USAGE ON SCHEMA public TO shop',
    `GRANT ${rights.join(', ')} ON session TO shop`,
  ])
}

async function opened(t: ExecutionContext, options: PostgresStoreOptions): Promise<void> {
  const store = new PostgresStore(options)
  await t.notThrowsAsync(store.open())
  await store.close()
}

async function refusal(t: ExecutionContext, options: PostgresStoreOptions): Promise<string> {
  const store = new PostgresStore(options)
  const error = await t.throwsAsync(store.open())
  await store.close()
  t.like(error, { name: 'SessionError', code: 'ERR_SESSION_STORE', answered: true })
  return error.message
}

for (const missing of RIGHTS) {
  test.serial(`open rejects without the right to ${missing}, and says what to grant`, async (t) => {
    const place = await database(t)
    await opened(t, { url: place.url })
    const url = await asUser(
      place,
      RIGHTS.filter((each) => each !== missing),
    )
    t.regex(
      await refusal(t, { url }),
      /^postgres: open failed: permission denied .* grant SELECT, INSERT, UPDATE and DELETE/,
    )
    t.deepEqual(await place.query('SELECT * FROM session'), [])
  })
}

for (const [kind, table] of [
  ['our own table', undefined],
  ["beego's table", CLASSIC_TABLE],
] as const) {
  test.serial(`open leaves nothing behind on ${kind}, and changes no row`, async (t) => {
    const place = await database(t)
    if (table !== undefined) await place.query(table)
    await opened(t, { url: place.url, prepare: true })
    await opened(t, { url: place.url })
    t.deepEqual(await place.query('SELECT * FROM session'), [])
  })
}

test.serial('open rejects on a server that is read-only; without open, reads are served', async (t) => {
  const place = await database(t)
  await opened(t, { url: place.url })
  await place.query(`ALTER DATABASE ${place.name} SET default_transaction_read_only = on`)
  t.regex(
    await refusal(t, { url: place.url }),
    /^postgres: open failed: .*read-only transaction \(25006\); this server accepts no writes$/,
  )
  const client = new Pool({ connectionString: place.url })
  client.on('error', () => undefined)
  t.teardown(async () => client.end())
  t.regex(await refusal(t, { client }), /this server accepts no writes$/)
  const store = new PostgresStore({ url: place.url })
  t.is(await store.read('a'.repeat(64)), undefined)
  await store.close()
})
