import test from 'ava'
import { PostgresStore } from '../../src/stores/postgres.ts'
import { storeContract, type StoreHarness } from '../../src/testing/index.ts'
import { CLASSIC_TABLE, emptyDatabase, postgresServer } from '../servers/postgres.ts'

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
