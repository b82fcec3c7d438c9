import test from 'ava'
import { Pool } from 'pg'
import { PostgresStore } from '../../src/stores/postgres.ts'
import { storeContract, type StoreHarness } from '../../src/testing/index.ts'
import { statementsOf } from '../support/markdown.ts'
import { CLASSIC_TABLE, emptyDatabase, postgresServer, type Database } from '../servers/postgres.ts'

const server = await postgresServer()
const [own, classic] = [await emptyDatabase(server), await emptyDatabase(server)]
await classic.query(CLASSIC_TABLE)
const first = new PostgresStore({ url: own.url })
await first.open()
await first.close()
// With the rights that the documentation names, and no others.
const grants = await statementsOf('docs/stores/postgres.md', 'GRANT ')
const [ownUrl, classicUrl] = [await own.urlFor(grants), await classic.urlFor(grants)]
test.after.always(async () => {
  await Promise.all([own.drop(), classic.drop()])
  await server.stop()
})

/** Sets whether new connections are read-only, and ends the others. */
async function readOnly(database: Database, value: 'on' | 'off'): Promise<void> {
  const change = `ALTER DATABASE ${database.name} SET default_transaction_read_only = ${value}`
  await database.query(`BEGIN READ WRITE; ${change}; COMMIT`)
  await database.forbid()
  await database.allow()
}

for (const [kind, database, url, moments] of [
  ['our own table', own, ownUrl, ['session_expiry', 'session_due']],
  ['the classic table', classic, classicUrl, ['session_expiry']],
] as const) {
  const older = moments.map((name) => `${name} = ${name} - $1 * interval '1 millisecond'`).join(', ')
  const harness: StoreHarness = {
    open: () => new PostgresStore({ url, timeout: 30_000 }),
    now: Date.now,
    advance: async (ms) => void (await database.query(`UPDATE session SET ${older}`, [ms])),
    sweeps: true,
    counts: true,
    break: async () => database.forbid(),
    mend: async () => database.allow(),
    refuse: async () => readOnly(database, 'on'),
    admit: async () => readOnly(database, 'off'),
  }
  const { traits } = new PostgresStore({ url: database.url })
  for (const requirement of storeContract) {
    if (!requirement.appliesTo(traits, harness)) continue
    test.serial(`${kind}: ${requirement.title}`, async (t) => {
      await requirement.check(harness)
      t.pass()
    })
  }

  test.serial(
    `${kind}: the rights of the documentation lead to nothing but the rows of the table`,
    async (t) => {
      const pool = new Pool({ connectionString: url, max: 1 })
      pool.on('error', () => undefined)
      t.teardown(async () => pool.end())
      await database.query('CREATE TABLE IF NOT EXISTS other (secret text)')
      for (const statement of [
        'DROP TABLE session',
        'TRUNCATE session',
        'ALTER TABLE session ADD COLUMN more text',
        'CREATE TABLE mine (a int)',
        'CREATE TEMP TABLE mine (a int)',
        'SELECT * FROM other',
        "SELECT pg_read_file('postgresql.conf')",
        'CREATE ROLE another',
      ])
        await t.throwsAsync(pool.query(statement), { message: /permission denied|must be owner/ }, statement)
      const { rows } = await pool.query<{ rolsuper: boolean }>(
        'SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = current_user',
      )
      t.deepEqual(Object.values(rows[0] ?? {}), [false, false, false, false, false])
    },
  )
}
