import test from 'ava'
import type { Store } from '../../src/store.ts'
import { interleavings, walks } from '../../src/testing/index.ts'
import { Time } from '../../src/testing/walks/time.ts'
import { invariants, type Invariant } from '../../src/testing/walks/verdict.ts'
import { walk } from '../../src/testing/walks/walk.ts'
import { mutants } from './broken/mutants.ts'
import { walking } from './broken/walking.ts'
import { type Backend, harnessOf, HonestStore } from './honest-store.ts'

/** Enough for any fault here. */
const SEEDS = 200

/** The first walk in which an invariant does not hold. */
async function firstTo(invariant: Invariant, open: (backend: Backend) => Store): Promise<number> {
  const harness = harnessOf(open)
  const stores = [await harness.open(), await harness.open()]
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const time = new Time(harness)
    time.join()
    const { broken } = await walk(stores, time, seed)
    if (broken.includes(invariant)) return seed
  }
  return Infinity
}

const found = new Set<Invariant>()

// One after another: a mutant is everywhere.
for (const { fault, invariant, open } of walking) {
  test.serial(`a walk finds out that ${fault}`, async (t) => {
    const seed = await firstTo(invariant, open)
    t.log(`walk ${seed}: ${invariants[invariant]}`)
    t.true(seed <= SEEDS, invariants[invariant])
    found.add(invariant)
  })
}

for (const { fault, invariant, mutate } of mutants) {
  test.serial(`a walk finds out that ${fault}`, async (t) => {
    const mend = mutate()
    try {
      const seed = await firstTo(invariant, (backend) => new HonestStore(backend))
      t.log(`walk ${seed}: ${invariants[invariant]}`)
      t.true(seed <= SEEDS, invariants[invariant])
      found.add(invariant)
    } finally {
      mend()
    }
  })
}

test.serial('there is no invariant that nothing breaks', (t) => {
  // That requests fail, or that a store answers otherwise than its model, is seen beside the others.
  const rest = Object.keys(invariants).filter((name) => !found.has(name as Invariant))
  t.deepEqual(rest, [])
})

const honest = harnessOf((backend) => new HonestStore(backend))

test.serial(
  'security 24, 62: in every order of the steps of two requests nothing is lost and nothing comes back',
  async (t) => {
    for (const promise of interleavings) await promise.check(honest)
    t.is(new Set(interleavings.map(({ title }) => title)).size, interleavings.length)
  },
)

/** Fewer where the suite runs once more, on another Node. */
const count = Number(process.env['KTS_WALKS'] ?? 2_000)

for (const promise of walks({ count })) {
  test.serial(`security 24, 62, F19, F20: ${promise.title}`, async (t) => {
    await t.notThrowsAsync(promise.check(honest))
  })
}

test.serial('a walk that fails tells its seed and its story, and can be taken again', async (t) => {
  const broken = harnessOf(
    (backend) =>
      new (class extends HonestStore {
        override same(): boolean {
          return true
        }
      })(backend),
  )
  const [promise] = walks({ from: 1, count: 20 })
  const { message } = await t.throwsAsync(promise?.check(broken) ?? Promise.resolve())
  const [, seed] =
    /^walk (\d+), the first of \d+ that failed\nno acknowledged change is lost: /.exec(message) ?? []
  t.regex(message, /\n +\d+ {2}a {2}read ID 1: /)
  t.regex(
    message,
    /\n +\d+ {2}! {2}the store answers as its model does: replace of ID \d answers written, not conflict\n/,
  )
  t.regex(message, new RegExp(`walks\\(\\{ from: ${seed}, count: 1 \\}\\)`))

  const story = (text: string): string => text.replaceAll(/kts1 [\w-]+/g, 'kts1').replace(/^.*\n/, '')
  const again = await t.throwsAsync(
    walks({ from: Number(seed), count: 1 })[0]?.check(broken) ?? Promise.resolve(),
  )
  t.is(story(again.message), story(message))
})

test.serial('walks are cut into promises of a thousand, and none is left out', (t) => {
  const titles = walks({ from: 501, count: 2_100 }).map(({ title }) => title)
  t.deepEqual(
    titles.map((title) => /\d+ to \d+/.exec(title)?.[0]),
    ['501 to 1500', '1501 to 2500', '2501 to 2600'],
  )
})
