import test from 'ava'
import { interleavings, ownerWalks, randomWalks, type StoreHarness } from '../../../src/testing/index.ts'
import { ByTurns, stepsHarness, type Step } from './two-backends.ts'

/** `KTS_WALKS=1000000` for the long run. */
const WALKS = Number(process.env['KTS_WALKS'] ?? 400)
/** `KTS_ORDERS=all` for two requests of every kind, in every order of their verbs. */
const isComplete = process.env['KTS_ORDERS'] === 'all'
const some = /^a request that (counts|ends by ID|destroys and begins anew),/

const pairs: readonly (readonly [Step, Step])[] = [
  [0, 1],
  [1, 2],
  [2, 3],
]

for (const [one, other] of pairs) {
  const harness = stepsHarness([one, other])
  const beside = `a process of step ${one} beside one of step ${other}`
  const orders = one === 1 ? interleavings.filter(({ title }) => isComplete || some.test(title)) : []
  for (const requirement of [...randomWalks({ count: WALKS }), ...orders]) {
    test.serial(`security 24, F20: ${beside}: ${requirement.title}`, async (t) => {
      t.timeout(3_600_000)
      await t.notThrowsAsync(requirement.check(harness))
    })
  }

  const alternating: StoreHarness = {
    ...harness,
    sweeps: false,
    counts: false,
    open: async () => new ByTurns([await harness.open(), await harness.open()]),
  }
  for (const requirement of ownerWalks({ count: WALKS / 4 })) {
    test.serial(`security 25: ${beside}: ${requirement.title}`, async (t) => {
      t.timeout(3_600_000)
      await t.notThrowsAsync(requirement.check(alternating))
    })
  }
}
