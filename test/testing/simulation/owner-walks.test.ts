import test from 'ava'
import { ownerWalk, runOwners } from '../../../src/testing/simulation/owner-walks.ts'
import { ownerActions } from '../../../src/testing/simulation/owner-actions.ts'
import { Branches } from '../../../src/testing/simulation/branches.ts'
import { VirtualTime } from '../../../src/testing/simulation/virtual-time.ts'
import { harnessOf, HonestStore } from '../honest-store.ts'

const WALKS = Number(process.env['KTS_WALKS'] ?? 2_000)

test.serial('random walks', async (t) => {
  t.timeout(600_000)
  const harness = harnessOf((backend) => new HonestStore(backend))
  const store = await harness.open()
  for (let seed = 1; seed <= WALKS; seed += 1) {
    const report = await ownerWalk(store, harness, seed)
    if (report !== undefined) return t.fail(`walk ${seed}\n${report}`)
  }
  t.pass()
})
void [runOwners, ownerActions, Branches, VirtualTime]
