import test from 'ava'
import { Destroyer } from '../../../src/session/commit/destroy.ts'
import { OwnerListing } from '../../../src/session/owners/owner-listing.ts'
import { OwnerRecord } from '../../../src/session/owners/owner-record.ts'
import { OwnerRecords } from '../../../src/session/owners/owner-records.ts'
import type { Store } from '../../../src/store.ts'
import { ownerWalks } from '../../../src/testing/index.ts'
import { ownerActions } from '../../../src/testing/simulation/owner-actions.ts'
import { ownerWalk, runOwners } from '../../../src/testing/simulation/owner-walks.ts'
import { Seeded } from '../../../src/testing/simulation/seeded.ts'
import { VirtualTime } from '../../../src/testing/simulation/virtual-time.ts'
import { type Backend, harnessOf, HonestStore } from '../honest-store.ts'

/** How many walks a fault may take to be found. */
const SEEDS = 2_000
/** How many orders of each pair of actions. `KTS_ORDERS=1000` for the long run. */
const ORDERS = Number(process.env['KTS_ORDERS'] ?? 25)
const WALKS = Number(process.env['KTS_WALKS'] ?? 1_000)

const honest = harnessOf((backend) => new HonestStore(backend))

for (const requirement of ownerWalks({ count: WALKS })) {
  test.serial(`security 24, 25, 26, 27: ${requirement.title}`, async (t) => {
    t.timeout(3_600_000)
    await t.notThrowsAsync(requirement.check(honest))
  })
}

const names = Object.keys(ownerActions)
for (const [at, one] of names.entries()) {
  test.serial(
    `security 25: a process that ${one}, beside each other one, with a crash at any step of either`,
    async (t) => {
      t.timeout(3_600_000)
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

/** The seed of the first walk that goes wrong. */
async function firstToFail(open: (backend: Backend) => Store, from = 1): Promise<number> {
  const harness = harnessOf(open)
  const store = await harness.open()
  for (let seed = from; seed < from + SEEDS; seed += 1)
    if ((await ownerWalk(store, harness, seed)) !== undefined) return seed
  return Infinity
}

/** The library with one rule of the protocol removed. */
const withoutRule: readonly (readonly [fault: string, apply: () => () => void, from?: number])[] = [
  [
    'ending all begins no new epoch',
    () =>
      replaced(OwnerRecord.prototype, 'beginEpoch', function stays(this: OwnerRecord, except) {
        for (const handle of this.entries.keys()) if (handle !== except) this.markEnding(handle)
      }),
  ],
  [
    'a sign-in is not compared with its fence',
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
    () => {
      const { list } = OwnerListing.prototype
      return replaced(OwnerListing.prototype, 'list', async function silent(this: OwnerListing, state, key) {
        return state.signIn === undefined || list.call(this, state, key)
      })
    },
  ],
  [
    'a session that was ended may move',
    () => {
      const { follow } = OwnerRecords.prototype
      return replaced(OwnerRecords.prototype, 'follow', async function mild(this: OwnerRecords, ...args) {
        await follow.apply(this, args)
        return true
      })
    },
  ],
  ['a sign-in beyond the cap ends none', () => replaced(OwnerRecord.prototype, 'markEnding', () => {})],
  [
    'a logout ends only the record that it finds',
    () =>
      replaced(Destroyer.prototype, 'logOut', async function short(this: Destroyer, ...args) {
        return this.end(...args)
      }),
    3_600, // it takes two processes that end things, and a third one
  ],
  ['nothing is ever to be ended', () => replaced(OwnerRecord.prototype, 'ending', () => [])],
]

// One after another: each changes the library for the whole process.
for (const [fault, apply, from] of withoutRule) {
  test.serial(`a walk finds out that ${fault}`, async (t) => {
    const undo = apply()
    try {
      const seed = await firstToFail((backend) => new HonestStore(backend), from)
      t.log(`walk ${seed}`)
      t.true(seed < Infinity)
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
  t.true((await firstToFail((backend) => new Careless(backend))) < Infinity)
})

function replaced<P extends object, K extends keyof P>(prototype: P, name: K, faulty: P[K]): () => void {
  const original = prototype[name]
  prototype[name] = faulty
  return () => void (prototype[name] = original)
}
