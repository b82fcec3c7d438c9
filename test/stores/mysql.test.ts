import test from 'ava'
import { storeContract } from '../../src/testing/index.ts'
import { bench } from './mysql/harness.ts'

const { harness, database, end } = await bench('ours')
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
