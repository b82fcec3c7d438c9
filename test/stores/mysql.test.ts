import test from 'ava'
import { createConnection } from 'mysql2/promise'
import { storeContract } from '../../src/testing/index.ts'
import { bench } from './mysql/harness.ts'

const { harness, database, modestUrl, end } = await bench('ours')
const first = await harness.open()
const { traits } = first
test.after.always(async () => {
  await first.close()
  await end()
})

for (const requirement of storeContract) {
  if (!requirement.appliesTo(traits, harness)) continue
  test.serial(requirement.title, async (t) => {
    await requirement.check(harness)
    t.pass()
  })
}

test.serial('the contract was tested on the table that was created on demand', async (t) => {
  t.is(traits.resolution, 1)
  const [engine] = await database.sql("SHOW TABLE STATUS LIKE 'session'")
  t.is(engine?.['Engine'], 'InnoDB')
})

test.serial('the rights of the documentation lead to nothing but the rows of the table', async (t) => {
  const connection = await createConnection(modestUrl)
  t.teardown(async () => connection.end())
  await database.sql('CREATE TABLE other (secret text)')
  for (const statement of [
    'DROP TABLE session',
    'TRUNCATE session',
    'ALTER TABLE session ADD COLUMN more text',
    'CREATE TABLE mine (a int)',
    'CREATE TEMPORARY TABLE mine (a int)',
    'SELECT * FROM other',
    "SELECT LOAD_FILE('/etc/passwd') INTO OUTFILE '/tmp/never'",
    "CREATE USER 'another'@'%'",
    'SELECT * FROM mysql.user',
  ])
    await t.throwsAsync(connection.query(statement), { message: /denied/ }, statement)
})
