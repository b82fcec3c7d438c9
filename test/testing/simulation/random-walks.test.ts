import test from 'ava'
import type { Store } from '../../../src/store.ts'
import {
  interleavings,
  randomWalks,
  type StoreHarness,
  type RandomWalkOptions,
} from '../../../src/testing/index.ts'
import { VirtualTime } from '../../../src/testing/simulation/virtual-time.ts'
import { invariants, type Invariant } from '../../../src/testing/simulation/violations.ts'
import { randomWalk } from '../../../src/testing/simulation/random-walks.ts'
import { mutants } from '../broken/mutants.ts'
import { sessions } from '../broken/sessions.ts'
import { type Backend, harnessOf, HonestStore } from '../honest-store.ts'

/** A store whose `replace` and `destroy` compare no versions. */
class Careless extends HonestStore {
  override same(): boolean {
    return true
  }
}

/** How many walks a fault may take to be found. */
const SEEDS = 2_000

/** The seed of the first walk in which the invariant does not hold. */
async function firstTo(invariant: Invariant, open: (backend: Backend) => Store): Promise<number> {
  const harness = harnessOf(open)
  const stores = [await harness.open(), await harness.open()]
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const time = new VirtualTime(harness)
    time.join()
    const { broken } = await randomWalk(stores, time, seed)
    if (broken.includes(invariant)) return seed
  }
  return Infinity
}

const found = new Set<Invariant>()

// One after another: a mutant changes the library for the whole process.
for (const { fault, invariant, open } of sessions) {
  test.serial(`a walk finds out that ${fault}`, async (t) => {
    const seed = await firstTo(invariant, open)
    t.log(`walk ${seed}: ${invariants[invariant]}`)
    t.true(seed <= SEEDS, invariants[invariant])
    found.add(invariant)
  })
}

for (const { fault, invariant, apply } of mutants) {
  test.serial(`a walk finds out that ${fault}`, async (t) => {
    const applied = apply()
    try {
      const seed = await firstTo(invariant, (backend) => new HonestStore(backend))
      t.true(applied.calls() > 0, 'the faulty method is never called, so it mutates nothing')
      t.log(`walk ${seed}: ${invariants[invariant]}`)
      t.true(seed <= SEEDS, invariants[invariant])
      found.add(invariant)
    } finally {
      applied.undo()
    }
  })
}

test.serial('each invariant is violated by some fault', (t) => {
  t.deepEqual([...found].toSorted(), Object.keys(invariants).toSorted())
})

const honest = harnessOf((backend) => new HonestStore(backend))

// On every version of Node that the suite runs on. test/engines takes more walks.
for (const requirement of randomWalks({ count: 2_000 })) {
  test.serial(`security 24, 62, F19, F20: ${requirement.title}`, async (t) => {
    await t.notThrowsAsync(requirement.check(honest))
  })
}

test.serial('a walk that fails reports its seed and its steps, and can be repeated', async (t) => {
  const careless = harnessOf((backend) => new Careless(backend))
  const { message } = await t.throwsAsync(walkOn(careless, { from: 1, count: 20 }))
  const [, seed = ''] = /^walk (\d+), the first of \d+ that failed\n[a-z ]+: /.exec(message) ?? []
  t.regex(message, /\n *\d+ {2}[a-e] {2}read ID 1: /)
  t.regex(message, /\n *\d+ {2}! {2}the store answers as its model does: .* answers written, not conflict\n/)
  t.true(message.endsWith(`randomWalks({ from: ${seed}, count: 1 }).`))

  // Versions are random.
  const story = (text: string): string => text.replaceAll(/kts1 [\w-]+/g, 'kts1').replace(/^.*\n/, '')
  const again = await t.throwsAsync(walkOn(careless, { from: Number(seed), count: 1 }))
  t.is(story(again.message), story(message))
})

test.serial('the interleavings of two requests find a lost update', async (t) => {
  t.is(new Set(interleavings.map(({ title }) => title)).size, interleavings.length)
  const requirement = interleavings.find(({ title }) => title.startsWith('a request that counts,'))
  const careless = harnessOf((backend) => new Careless(backend))
  const { message } = await t.throwsAsync(async () => requirement?.check(careless))
  t.regex(message, /^one request counts, another \S.*\n(no acknowledged change is lost|counters are exact): /)
})

test.serial('walks are divided into requirements of a thousand, and none is left out', (t) => {
  const titles = randomWalks({ from: 501, count: 2_100 }).map(({ title }) => title)
  t.deepEqual(
    titles.map((title) => /\d+ to \d+/.exec(title)?.[0]),
    ['501 to 1500', '1501 to 2500', '2501 to 2600'],
  )
})

async function walkOn(harness: StoreHarness, options: RandomWalkOptions): Promise<void> {
  for (const requirement of randomWalks(options)) await requirement.check(harness)
}
