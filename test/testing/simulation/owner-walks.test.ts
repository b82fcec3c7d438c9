import { readFile } from 'node:fs/promises'
import test from 'ava'
import { Destroyer } from '../../../src/session/commit/destroy.ts'
import { OwnerListing } from '../../../src/session/owners/owner-listing.ts'
import { OwnerRecord } from '../../../src/session/owners/owner-record.ts'
import { OwnerRecords } from '../../../src/session/owners/owner-records.ts'
import type { Store } from '../../../src/store.ts'
import { ownerWalks } from '../../../src/testing/index.ts'
import { ownerActions } from '../../../src/testing/simulation/owner-actions.ts'
import { ownerInvariants } from '../../../src/testing/simulation/owner-invariants.ts'
import { ownerWalk, runOwners } from '../../../src/testing/simulation/owner-walks.ts'
import { Seeded } from '../../../src/testing/simulation/seeded.ts'
import { VirtualTime } from '../../../src/testing/simulation/virtual-time.ts'
import { type Backend, harnessOf, HonestStore } from '../honest-store.ts'
import { allowLongRun } from '../../support/long-run.ts'

/** How many walks a fault may take to be found. */
const SEEDS = 2_000
/** How many orders of each pair of actions. `KTS_ORDERS=1000` for the long run. */
const ORDERS = Number(process.env['KTS_ORDERS'] ?? 25)
const WALKS = Number(process.env['KTS_WALKS'] ?? 1_000)

const honest = harnessOf((backend) => new HonestStore(backend))

for (const requirement of ownerWalks({ count: WALKS })) {
  test.serial(`security 24, 25, 26, 27: ${requirement.title}`, async (t) => {
    allowLongRun(t, 3_600_000)
    await t.notThrowsAsync(requirement.check(honest))
  })
}

const names = Object.keys(ownerActions)
for (const [at, one] of names.entries()) {
  test.serial(
    `security 25: a process that ${one}, beside each other one, with a crash at any step of either`,
    async (t) => {
      allowLongRun(t, 3_600_000)
      const store = await honest.open()
      let runs = 0
      for (const other of names.slice(at)) {
        for (let order = 1; order <= ORDERS; order += 1) {
          const choices = new Seeded(order)
          const crash =
            choices.pick(3) === 0 ? undefined : { actor: choices.pick(2), call: 1 + choices.pick(8) }
          const time = new VirtualTime(honest)
          time.join()
          const report = await runOwners(store, time, choices, [[one], [other]], { crash })
          if (report !== undefined) return t.fail(`${other}, order ${order}\n${report}`)
          runs += 1
        }
      }
      t.is(runs, ORDERS * (names.length - at))
    },
  )
}

/** Where a fault is found soon. */
interface Where {
  /** What the processes do, instead of what they do in random walks. */
  readonly scripts?: readonly (readonly string[])[]
  /** The first seed. */
  readonly from?: number
}

/** The first walk in which one of these invariants does not hold, and what it says of them. */
async function firstToFail(
  open: (backend: Backend) => Store,
  invariants: readonly number[],
  { scripts, from = 1 }: Where = {},
): Promise<string | undefined> {
  const harness = harnessOf(open)
  const store = await harness.open()
  const time = new VirtualTime(harness)
  time.join()
  const said = new RegExp(`^invariant (?:${invariants.join('|')}), .*`, 'm')
  for (let seed = from; seed < from + SEEDS; seed += 1) {
    const report = await (scripts === undefined
      ? ownerWalk(store, harness, seed)
      : runOwners(store, time, new Seeded(seed), scripts))
    const [line] = said.exec(report ?? '') ?? []
    if (line !== undefined) return `walk ${seed}: ${line}`
  }
  return undefined
}

/** The library with one rule of the protocol removed, and the invariants that do not hold then. */
const withoutRule: readonly (readonly [
  fault: string,
  invariants: readonly number[],
  apply: () => () => void,
  where?: Where,
])[] = [
  [
    'ending all begins no new epoch',
    [1],
    () =>
      replaced(OwnerRecord.prototype, 'beginEpoch', function stays(this: OwnerRecord, except) {
        for (const handle of this.entries.keys()) if (handle !== except) this.markEnding(handle)
      }),
  ],
  [
    'a sign-in is not compared with its fence',
    [1],
    () => {
      const { enlist } = OwnerRecords.prototype
      return replaced(
        OwnerRecords.prototype,
        'enlist',
        async function open(this: OwnerRecords, owner, listing, deadline) {
          return enlist.call(this, owner, { ...listing, since: undefined }, deadline)
        },
      )
    },
  ],
  [
    'a session moves without being listed under its new key',
    [3, 8],
    () => {
      const { list } = OwnerListing.prototype
      return replaced(OwnerListing.prototype, 'list', async function silent(this: OwnerListing, state, key) {
        return state.signIn === undefined || list.call(this, state, key)
      })
    },
  ],
  [
    'a session that was ended may move',
    [1, 5],
    () => {
      const { follow } = OwnerRecords.prototype
      return replaced(OwnerRecords.prototype, 'follow', async function mild(this: OwnerRecords, ...args) {
        await follow.apply(this, args)
        return true
      })
    },
  ],
  ['a sign-in beyond the cap ends none', [4], () => replaced(OwnerRecord.prototype, 'markEnding', () => {})],
  [
    'a logout ends only the record that it finds',
    [5],
    () =>
      replaced(Destroyer.prototype, 'logOut', async function short(this: Destroyer, ...args) {
        return this.end(...args)
      }),
    { scripts: [['gives it a new ID'], ['ends one'], ['logs out']], from: 700 },
  ],
  ['nothing is ever to be ended', [1, 4, 9], () => replaced(OwnerRecord.prototype, 'ending', () => [])],
  [
    'no session is looked for in the record of its owner',
    [10],
    () => replaced(OwnerRecords.prototype, 'verify', async () => true),
  ],
  [
    'each request looks for its session in the record of its owner, and again',
    [12],
    () => {
      const { verify } = OwnerListing.prototype
      return replaced(OwnerListing.prototype, 'verify', function often(this: OwnerListing, ...args) {
        void verify.apply(this, args)?.catch(() => {})
        return verify.apply(this, args)
      })
    },
  ],
  ['a refresh tells no session', [14], () => replaced(OwnerRecords.prototype, 'refresh', async () => {})],
  [
    'a list shows the first session only',
    [6],
    () => {
      const { list } = OwnerRecords.prototype
      return replaced(OwnerRecords.prototype, 'list', async function short(this: OwnerRecords, ...args) {
        return (await list.apply(this, args)).slice(0, 1)
      })
    },
  ],
]

// One after another: each changes the library for the whole process.
for (const [fault, invariants, apply, where] of withoutRule) {
  test.serial(`a walk finds out that ${fault}`, async (t) => {
    const undo = apply()
    try {
      const found = await firstToFail((backend) => new HonestStore(backend), invariants, where)
      t.log(found)
      t.not(found, undefined)
    } finally {
      undo()
    }
  })
}

test.serial('a walk finds out that the record of an owner is not compared when it is changed', async (t) => {
  class Careless extends HonestStore {
    override same(): boolean {
      return true
    }
  }
  t.not(await firstToFail((backend) => new Careless(backend), [1, 3, 5, 8, 13]), undefined)
})

test('docs/owners.md says of each invariant where it is asserted', async (t) => {
  const page = await readFile('docs/owners.md', 'utf8')
  const rows = [...page.matchAll(/^\| (\d+) \| (.*?) \| (.*?) \| (.*?) \|/gm)]
  const stated = rows.map(([, number, text]) => [Number(number), text])
  // The last one is of the simulation itself.
  t.deepEqual(
    stated,
    Object.entries(ownerInvariants)
      .map(([number, text]) => [Number(number), text])
      .slice(0, 14),
  )
  for (const [, number, , , walks] of rows) t.is(walks, 'yes', number)
})

function replaced<P extends object, K extends keyof P>(prototype: P, name: K, faulty: P[K]): () => void {
  const original = prototype[name]
  prototype[name] = faulty
  return () => void (prototype[name] = original)
}
