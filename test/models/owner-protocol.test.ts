// The protocol of owners as a small model, which shares no code with the library: every order of the steps of each two operations,
// with a crash at each step, and random orders of more.
import { setImmediate as tick } from 'node:timers/promises'
import test from 'ava'
import { explore, walk } from './exploration.ts'
import { operations, rules, type OperationName, type Rule } from './owner-operations.ts'
import type { Setup } from './owner-world.ts'
import { allowLongRun } from '../support/long-run.ts'

/** `KTS_MODEL=long` explores lost answers, evictions and every three operations as well. */
const IS_LONG = process.env['KTS_MODEL'] === 'long'
/** How many random walks. */
const WALKS = Number(process.env['KTS_WALKS'] ?? 1_000)

// The keys of an object are those of its type here.
const names = Object.keys(operations) as OperationName[]
const signIns = names.filter((name) => name.startsWith('signs in'))

const plain: Setup = {
  rules,
  scripts: [],
  beginning: 'two',
  max: 100,
  isRefusing: false,
  crashes: 0,
  losses: 0,
  evictions: 0,
}

/** Each operation beside each one that follows it in the list. */
function pairs(
  ones: readonly OperationName[] = names,
  others = names,
): (readonly [OperationName, OperationName])[] {
  return ones.flatMap((one) =>
    others
      .filter((other) => names.indexOf(other) >= names.indexOf(one))
      .map((other) => [one, other] as const),
  )
}

/** Each three operations. */
function triples(): (readonly OperationName[])[] {
  return pairs().flatMap(([one, two]) => pairs([two]).map(([, three]) => [one, two, three]))
}

interface Exploration {
  readonly title: string
  readonly setup: Partial<Setup>
  readonly operations?: readonly (readonly OperationName[])[]
  readonly isLong?: boolean
}

const explorations: readonly Exploration[] = [
  { title: 'two sessions, and a crash at each step', setup: { crashes: 1 } },
  { title: 'no record of the owner, and a crash at each step', setup: { beginning: 'none', crashes: 1 } },
  { title: 'an ID that was rotated, and whose client was not told', setup: { beginning: 'rotated' } },
  {
    title: 'two sessions of which two are allowed, and a crash at each step',
    setup: { max: 2, crashes: 1 },
    operations: pairs(signIns, signIns),
  },
  {
    title: 'two sessions of which two are allowed, and no more are let in',
    setup: { max: 2, isRefusing: true, crashes: 1 },
    operations: pairs(signIns),
  },
  {
    title: 'any record evicted at each step, beside a sign-in',
    setup: { evictions: 1 },
    operations: pairs(['signs in']),
  },
  { title: 'any record evicted at each step', setup: { evictions: 1, crashes: 1 }, isLong: true },
  {
    title: 'an ID that was rotated, and a crash at each step',
    setup: { beginning: 'rotated', crashes: 1 },
    isLong: true,
  },
  {
    title: 'an answer lost at each step, the call carried out or not, or later',
    setup: { losses: 1, crashes: 1 },
    isLong: true,
  },
  {
    title: 'an ID that was rotated, and an answer lost at each step',
    setup: { beginning: 'rotated', losses: 1 },
    isLong: true,
  },
  {
    title: 'no record of the owner, and two answers lost',
    setup: { beginning: 'none', losses: 2 },
    isLong: true,
  },
  {
    title: 'two sessions of which two are allowed, and an answer lost at each step',
    setup: { max: 2, crashes: 1, losses: 1 },
    isLong: true,
  },
  { title: 'three operations at once', setup: {}, operations: triples(), isLong: true },
]

for (const { title, setup, operations = pairs(), isLong } of explorations) {
  if (isLong === true && !IS_LONG) continue
  test.serial(
    `security 24, 25, 26, 27: in the model no order of two operations breaks an invariant: ${title}`,
    async (t) => {
      allowLongRun(t, 7_200_000)
      let [states, orders] = [0, 0]
      for (const scripts of operations) {
        const explored = explore({ ...plain, ...setup, scripts: scripts.map((name) => [[name, 0]]) })
        if (explored.wrong !== undefined) return t.fail(explored.wrong)
        states += explored.states
        orders += explored.orders
        await tick()
      }
      t.log(
        `${operations.length} combinations, ${states.toLocaleString('en')} states, ${orders.toLocaleString('en')} orders`,
      )
      return t.true(states > operations.length)
    },
  )
}

/** Pseudo-random choices: the same for the same seed. */
function seeded(seed: number): (count: number) => number {
  let state = Math.imul(seed, 0x85ebca6b)
  return (count) => {
    state = (state + 0x9e3779b9) | 0
    let mixed = state ^ (state >>> 16)
    mixed = Math.imul(mixed, 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) % count
  }
}

test.serial(
  `security 24, 25, 26, 27: ${WALKS} random walks of the model with crashes, lost answers, late calls and evictions break no invariant`,
  async (t) => {
    allowLongRun(t, 7_200_000)
    for (let seed = 1; seed <= WALKS; seed += 1) {
      if (seed % 1_000 === 0) await tick()
      const pick = seeded(seed)
      const scripts = Array.from({ length: 3 + pick(2) }, () =>
        Array.from({ length: 1 + pick(2) }, () => [names[pick(names.length)] ?? 'lists', pick(2)] as const),
      )
      const beginning = (['two', 'rotated', 'none'] as const)[pick(3)] ?? 'two'
      const wrong = walk(
        {
          rules,
          scripts,
          beginning,
          max: pick(3) === 0 ? 2 : 100,
          isRefusing: pick(4) === 0,
          crashes: pick(2),
          losses: pick(3),
          evictions: pick(4) === 0 ? 1 : 0,
        },
        pick,
      )
      if (wrong !== undefined) return t.fail(`walk ${seed}\n${wrong}`)
    }
    return t.pass()
  },
)

/** What the model finds without each rule: the numbers of the invariants, and where. */
const withoutRule: Readonly<
  Record<
    Rule,
    {
      readonly breaks: readonly number[]
      readonly by: readonly OperationName[]
      readonly setup?: Partial<Setup>
    }
  >
> = {
  newEpochWithEachAttempt: { breaks: [1], by: ['signs in', 'ends all'], setup: { losses: 1 } },
  randomNames: { breaks: [1], by: ['signs in', 'ends all'], setup: { evictions: 1 } },
  oneCreateForEachKey: { breaks: [1], by: ['signs in', 'ends all'], setup: { losses: 1 } },
  looksForItself: {
    breaks: [8],
    by: ['signs in to an anonymous session', 'signs in to an anonymous session'],
  },
  unionOfKeys: { breaks: [3], by: ['regenerates', 'lists'] },
  dropsOnlyWhatIsGone: { breaks: [8], by: ['regenerates', 'lists'] },
  markDestroyDrop: { breaks: [3], by: ['ends all', 'lists'] },
  listBeforeRedirect: { breaks: [3], by: ['rotates', 'lists'] },
  logoutByHandle: { breaks: [5], by: ['regenerates', 'ends one', 'logs out'], setup: { crashes: 1 } },
  settledByContent: { breaks: [3], by: ['signs in', 'lists'], setup: { losses: 1 } },
  comparesFence: { breaks: [1], by: ['signs in', 'ends all'] },
  fencesRights: { breaks: [14], by: ['signs in', 'refreshes'] },
  onlyListedMoves: { breaks: [1], by: ['regenerates', 'ends all'] },
  countsAndAddsAtOnce: { breaks: [4], by: ['signs in', 'signs in'], setup: { max: 2 } },
  finishesWhatIsEnding: { breaks: [4], by: ['signs in', 'lists'], setup: { max: 2 } },
  tombstones: { breaks: [5], by: ['writes', 'rotates', 'logs out'] },
  movesReadTombstones: { breaks: [5], by: ['writes', 'rotates', 'logs out'] },
  comparesBeforeRedirect: {
    breaks: [13],
    by: ['signs in to an anonymous session', 'signs in to an anonymous session'],
  },
  listedIsNotCreatedAgain: { breaks: [1], by: ['writes', 'regenerates', 'ends all'] },
  listLooksAgain: { breaks: [6], by: ['rotates', 'lists'] },
  refreshLooksAgain: { breaks: [14], by: ['rotates', 'ends one', 'refreshes'] },
  marksDiffer: {
    breaks: [14],
    by: ['refreshes', 'catches up', 'refreshes'],
    setup: { beginning: 'rotated' },
  },
  listBeforeTelling: { breaks: [3], by: ['signs in', 'lists'] },
  verifies: { breaks: [10], by: ['signs in', 'lists'], setup: { evictions: 1 } },
  verifiesTheKey: {
    breaks: [10],
    by: ['signs in to an anonymous session', 'signs in to an anonymous session'],
    setup: { evictions: 1, crashes: 1 },
  },
  createBeforeListing: { breaks: [1], by: ['signs in', 'ends all'] },
}

for (const [rule, { breaks, by, setup }] of Object.entries(withoutRule)) {
  test.serial(
    `the model without the rule ${rule} breaks invariant ${breaks.join(' and ')}: one ${by.join(', one ')}`,
    (t) => {
      const scripts = by.map((name) => [[name, 0]] as const)
      const { wrong = 'nothing' } = explore({
        ...plain,
        ...setup,
        rules: { ...rules, [rule]: false },
        scripts,
      })
      const numbers = new Set(wrong.match(/^\d+(?=: )/gm)?.map(Number))
      for (const number of breaks) t.true(numbers.has(number), wrong)
    },
  )
}
