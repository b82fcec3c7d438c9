import test from 'ava'
import { migrate } from '../../../src/migrate/index.ts'
import type { Store } from '../../../src/store.ts'
import { MemoryStore } from '../../../src/stores/memory.ts'
import { storeContract, type StoreHarness } from '../../../src/testing/index.ts'
import { stepsHarness } from './two-backends.ts'

const limits = { maxEntries: Infinity, maxBytes: 8 * 1024 * 1024 }

/** Stores in memory, of one process. */
function inMemory(until: Date, isTurned: boolean): StoreHarness {
  let clock = 1_750_000_000_000
  const now = (): number => clock
  const open = (): Store => new MemoryStore({ ...limits, now })
  return {
    open: () => {
      const [old, next] = [open(), open()]
      return isTurned
        ? migrate({ to: old, from: next, until, now })
        : migrate({ to: next, from: old, until, now })
    },
    now,
    advance: (ms) => void (clock += ms),
    still: true,
    sweeps: true,
    counts: true,
  }
}

/**
 * That two processes which lead with different stores create one key at once, which neither of them has looked up. The library
 * does so with tombstones only, of which two are as good as one.
 */
const blindCreates = /^of many creates at once/

const harnesses: Readonly<Record<string, StoreHarness>> = {
  'memory to memory': inMemory(new Date('2100-01-01'), false),
  'memory to memory, turned round': inMemory(new Date('2100-01-01'), true),
  'memory to memory, after the end of the change': inMemory(new Date('2001-01-01'), false),
  'processes of step 1': stepsHarness([1]),
  'processes of step 2': stepsHarness([2]),
  'a process of step 1 beside one of step 2': stepsHarness([1, 2]),
  'a process of step 0 beside one of step 1': stepsHarness([0, 1]),
  'a process of step 2, after the end of the change, beside one of step 3': stepsHarness([2, 3]),
}

for (const [kind, harness] of Object.entries(harnesses)) {
  const { traits } = await harness.open()
  for (const { title, appliesTo, check } of storeContract) {
    if (!appliesTo(traits, harness) || (kind.includes('1 beside one of step 2') && blindCreates.test(title)))
      continue
    // One after another: these requirements turn the clock that all of them read.
    test.serial(`${kind}: ${title}`, async (t) => {
      await t.notThrowsAsync(check(harness))
    })
  }
}
