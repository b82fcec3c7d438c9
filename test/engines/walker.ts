import test from 'ava'
import { interleavings, randomWalks, type StoreHarness } from '../../src/testing/index.ts'

/** The harness of a test file, and how to stop its server. */
export interface Grounds {
  readonly harness: StoreHarness
  readonly stop: () => Promise<void>
}

/** `KTS_WALKS=1000000` for the long run. */
const asked = process.env['KTS_WALKS']
/** `KTS_SEED=4711` repeats one walk. */
const seed = process.env['KTS_SEED']

/** What is run on an engine. */
export interface Trials {
  readonly count: number
  /** Whether the interleavings run too. */
  readonly interleaved?: boolean
}

/** Runs the random walks, and where asked the interleavings, on an engine. */
export function testWalks(engine: string, trials: Trials, open: () => Promise<Grounds>): void {
  let grounds: Grounds | undefined
  const harnessOf = async (): Promise<StoreHarness> => (grounds ??= await open()).harness
  test.after.always(`${engine} stops`, async () => grounds?.stop())
  const taken =
    seed === undefined ? { count: Number(asked ?? trials.count) } : { from: Number(seed), count: 1 }
  const orders = trials.interleaved === true && seed === undefined ? interleavings : []
  for (const requirement of [...randomWalks(taken), ...orders]) {
    test.serial(`security 24, 62, F19, F20: ${engine}: ${requirement.title}`, async (t) => {
      await t.notThrowsAsync(requirement.check(await harnessOf()))
    })
  }
}
