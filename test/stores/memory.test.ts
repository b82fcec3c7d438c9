import test from 'ava'
import { MemoryStore } from '../../src/stores/memory.ts'
import { storeContract, type StoreHarness } from '../../src/testing/index.ts'

let clock = Date.now()
const harness: StoreHarness = {
  open: () => new MemoryStore({ now: () => clock }),
  now: () => clock,
  advance: (ms) => {
    clock += ms
  },
  still: true,
  sweeps: true,
  counts: true,
}

const { traits } = new MemoryStore()
for (const promise of storeContract) {
  if (!promise.appliesTo(traits, harness)) continue
  test(promise.title, async (t) => {
    await promise.check(harness)
    t.pass()
  })
}
