import test from 'ava'
import { interleavings, ownerWalks, randomWalks, type StoreHarness } from '../../../src/testing/index.ts'
import { EntryMover } from '../../../src/migrate/between-stores/entry-mover.ts'
import { ownerWalk } from '../../../src/testing/simulation/owner-walks.ts'
import { HonestStore } from '../../testing/honest-store.ts'
import { ByTurns, stepsHarness, TwoBackends, type Step } from './two-backends.ts'
import { allowLongRun } from '../../support/long-run.ts'

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
      allowLongRun(t, 3_600_000)
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
      allowLongRun(t, 3_600_000)
      await t.notThrowsAsync(requirement.check(alternating))
    })
  }
}

/**
 * The whole library on two stores, with each call of either one let through by itself, so that the calls inside of one verb
 * interleave with those of other processes, crash, get no answer or arrive late.
 */
async function callByCall(steps: readonly [Step, Step], seed: number): Promise<string | undefined> {
  const backends = new TwoBackends()
  const before = backends.storeAt(steps[seed % 2] ?? 1)
  const harness: StoreHarness = {
    open: () => before,
    now: backends.now,
    advance: () => undefined,
    still: true,
  }
  return ownerWalk(before, harness, seed, {
    open: (at, stepped) =>
      backends.storeAt(steps[at % 2] ?? 1, undefined, (backend) => stepped(new HonestStore(backend))),
  })
}

for (const steps of [
  [0, 1],
  [1, 2],
] as const) {
  test.serial(
    `security 25: a process of step ${steps[0]} beside one of step ${steps[1]}, call by call: what an owner has ended stays ended, and nothing else ends`,
    async (t) => {
      allowLongRun(t, 3_600_000)
      for (let seed = 1; seed <= Math.ceil(WALKS / 10); seed += 1) {
        const wrong = await callByCall(steps, seed)
        if (wrong !== undefined) return t.fail(`walk ${seed}\n${wrong}`)
      }
      t.pass()
    },
  )
}

test.serial('a walk call by call finds out that a session is in both stores for a moment', async (t) => {
  const { stage } = EntryMover.prototype
  EntryMover.prototype.stage = async function live(this: EntryMover, key, { row, beside }, end) {
    const { home } = this.pair
    const written =
      beside === undefined
        ? await home.create(key, row.payload, end)
        : await home.replace(key, row.payload, end, beside)
    return typeof written === 'string' ? undefined : written.entry
  }
  try {
    let wrong: string | undefined
    for (let seed = 1; wrong === undefined && seed <= 200; seed += 1) wrong = await callByCall([1, 2], seed)
    t.regex(
      wrong ?? '',
      /is usable after|had ended, and is usable again|has ended without a cause|not listed|is the second record/,
    )
  } finally {
    EntryMover.prototype.stage = stage
  }
})
