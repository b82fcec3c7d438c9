import test from 'ava'
import { PostgresStore } from '../../src/stores/postgres.ts'
import { storeContract, type StoreHarness } from '../../src/testing/index.ts'
import { CLASSIC_TABLE, emptyDatabase, postgresServer, type Database } from '../servers/postgres.ts'

const server = await postgresServer()
const [own, classic] = [await emptyDatabase(server), await emptyDatabase(server)]
await classic.query(CLASSIC_TABLE)
const first = new PostgresStore({ url: own.url })
await first.open()
await first.close()
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

for (const [kind, database, moments] of [
  ['our own table', own, ['session_expiry', 'session_due']],
  ['the classic table', classic, ['session_expiry']],
] as const) {
  const older = moments.map((name) => `${name} = ${name} - $1 * interval '1 millisecond'`).join(', ')
  const harness: StoreHarness = {
    open: () => new PostgresStore({ url: database.url, timeout: 30_000 }),
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
}
