import test from 'ava'
import { storeContract } from '../../../src/testing/index.ts'
import { bench } from './harness.ts'

const { harness, database, end } = await bench('classic')
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

test.serial('the contract was tested on the documented table, unchanged', async (t) => {
  t.is(traits.resolution, 1_000)
  t.is(traits.maxBytes, 65_535)
  const [table] = await database.sql('SHOW CREATE TABLE session')
  const ddl = String(table?.['Create Table']).replace('int unsigned', 'int(11) unsigned') // as MySQL 8 puts it
  for (const part of ['char(64) NOT NULL', '`session_data` blob', 'int(11) unsigned', 'ENGINE=MyISAM']) {
    t.true(ddl.includes(part), part)
  }
})
