import test from 'ava'
import { EntryCreation } from '../../../src/migrate/between-stores/entry-creation.ts'
import { EntryMover } from '../../../src/migrate/between-stores/entry-mover.ts'
import { markerIn } from '../../../src/migrate/between-stores/marker.ts'
import { TwoStores } from '../../../src/migrate/between-stores/migrating-store.ts'
import { locatedAt, StorePair } from '../../../src/migrate/between-stores/store-pair.ts'
import { deeds, type Deed } from './register-walk.ts'
import { beforesOf, everyOrder, registerWalk } from './register-walks.ts'
import type { Step } from './two-backends.ts'
import { allowLongRun } from '../../support/long-run.ts'

/** `KTS_WALKS=1000000` for the long run. */
const WALKS = Number(process.env['KTS_WALKS'] ?? 2_000)
/** `KTS_ORDERS=all` for every order of every two deeds, in some minutes. */
const isComplete = process.env['KTS_ORDERS'] === 'all'
/** Within so many walks a fault must be found. */
const SEEDS = 4_000

const pairs: readonly (readonly [Step, Step])[] = [
  [0, 1],
  [1, 2],
  [2, 3],
]

for (const steps of pairs) {
  const beside = `a process of step ${steps[0]} beside one of step ${steps[1]}`

  test.serial(`${beside}: in ${WALKS} walks the two stores are one whose verbs are atomic`, async (t) => {
    allowLongRun(t, 3_600_000)
    for (let seed = 1; seed <= WALKS; seed += 1) {
      const wrong = await registerWalk(steps, seed)
      if (wrong !== undefined) return t.fail(`walk ${seed}\n${wrong}`)
    }
    t.pass()
  })

  for (const before of beforesOf(steps)) {
    test.serial(
      `${beside}: in every order of the calls of two deeds, with the entry ${before}`,
      async (t) => {
        allowLongRun(t, 3_600_000)
        const brief: readonly Deed[] = [
          'read',
          'read and replace',
          'destroy',
          'replace what was known before',
        ]
        let all = 0
        for (const one of isComplete ? deeds : brief) {
          for (const other of isComplete ? deeds : brief) {
            // Two that create may put themselves first by turns, in as many orders as there are tries.
            if (before === 'none' && one === 'read and create' && other === one) continue
            const { orders, wrong } = await everyOrder({ steps, before }, one, other)
            if (wrong !== undefined) return t.fail(wrong)
            all += orders
          }
        }
        t.log(`${all} orders`)
        t.true(all > 20)
      },
    )
  }
}

test.serial(
  'a process that crashes at any of its calls leaves the entry where another one finds it',
  async (t) => {
    let all = 0
    for (const before of ['old', 'next'] as const) {
      for (const process of [0, 1]) {
        for (let call = 1; call <= 6; call += 1) {
          for (const [one, other] of [
            ['read', 'read and replace'],
            ['read and destroy', 'read'],
          ] as const) {
            const { orders, wrong } = await everyOrder(
              { steps: [1, 2], before, crash: { process, call } },
              one,
              other,
            )
            if (wrong !== undefined) return t.fail(wrong)
            all += orders
          }
        }
      }
    }
    t.log(`${all} orders`)
    t.true(all > 100)
  },
)

/** The library with one rule of the protocol removed. */
const withoutRule: readonly (readonly [fault: string, apply: () => () => void, from?: number])[] = [
  [
    'the note is written whatever the entry has become',
    () => {
      const { decide } = EntryMover.prototype
      return replaced(
        EntryMover.prototype,
        'decide',
        async function careless(this: EntryMover, key, ...rest) {
          const [, staged, expiresAt] = rest
          const now = await this.pair.other.read(key)
          return now !== undefined && decide.call(this, key, now, staged, expiresAt)
        },
      )
    },
  ],
  [
    'the copy is the entry before the note is written',
    () =>
      replaced(
        EntryMover.prototype,
        'stage',
        async function live(this: EntryMover, key, { row, beside }, end) {
          const { home } = this.pair
          const written =
            beside === undefined
              ? await home.create(key, row.payload, end)
              : await home.replace(key, row.payload, end, beside)
          return typeof written === 'string' ? undefined : written.entry
        },
      ),
  ],
  [
    'any copy counts, whichever the note names',
    () =>
      replaced(StorePair.prototype, 'decided', function any(this: StorePair, row, beside) {
        for (const [store, copy, note] of [
          [this.home, row, beside],
          [this.other, beside, row],
        ] as const) {
          const [staged, moved] = [copy && markerIn(copy.payload), note && markerIn(note.payload)]
          if (copy !== undefined && staged?.kind === 'staged' && moved?.kind === 'moved')
            return { store, copy, payload: staged.payload, expiresAt: moved.expiresAt }
        }
        return undefined
      }),
  ],
  [
    'a copy counts without a note',
    () => {
      const { decided } = StorePair.prototype
      return replaced(StorePair.prototype, 'decided', function early(this: StorePair, row, beside) {
        const staged = row && markerIn(row.payload)
        if (row !== undefined && beside === undefined && staged?.kind === 'staged')
          return { store: this.home, copy: row, payload: staged.payload, expiresAt: row.expiresAt }
        return decided.call(this, row, beside)
      })
    },
  ],
  [
    'a decided move is not finished by another process',
    () => replaced(StorePair.prototype, 'decided', () => undefined),
  ],
  [
    'a copy of an older version is taken for one of the entry',
    () => {
      const { stage } = EntryMover.prototype
      return replaced(EntryMover.prototype, 'stage', async function old(this: EntryMover, key, located, end) {
        const { beside } = located
        if (beside !== undefined && markerIn(beside.payload)?.kind === 'staged') return beside
        return stage.call(this, key, located, end)
      })
    },
  ],
  [
    'a copy that another process has staged is replaced',
    () => {
      const { stage } = EntryMover.prototype
      return replaced(EntryMover.prototype, 'stage', async function own(this: EntryMover, key, located, end) {
        const { beside, row } = located
        if (beside === undefined || markerIn(beside.payload)?.kind !== 'staged')
          return stage.call(this, key, located, end)
        const { home } = this.pair
        await home.destroy(key, beside)
        return stage.call(this, key, locatedAt(located.store, row), end)
      })
    },
  ],
  [
    'an entry that was moved meanwhile is taken for gone',
    () => replaced(StorePair.prototype, 'isStill', async () => true),
  ],
  [
    'a marker is touched in the place of the entry',
    () =>
      replaced(TwoStores.prototype, 'touch', async function blind(this: TwoStores, key, expiresAt) {
        if ((await this.pair.home.touch(key, expiresAt)) === 'ok') return 'ok'
        return (await this.pair.locate(key)) === undefined ? 'gone' : 'ok'
      }),
    10_000,
  ],
  [
    'an entry that was moved is moved back at once',
    () =>
      replaced(EntryMover.prototype, 'mayMove', function restless(this: EntryMover) {
        return !this.pair.isOver
      }),
    5_000, // it takes a note that arrives late
  ],
  [
    'an entry that was moved and has not changed is moved back',
    () => {
      const { mayMove } = EntryMover.prototype
      return replaced(EntryMover.prototype, 'mayMove', function unchanged(this: EntryMover, located) {
        const note = located.beside && markerIn(located.beside.payload)
        const hasRested = note?.kind === 'moved' && this.pair.now() - note.movedAt >= 600_000
        return mayMove.call(this, hasRested ? locatedAt(located.store, located.row) : located)
      })
    },
    5_000,
  ],
  [
    'a key that was looked up is created without a claim',
    () => replaced(EntryCreation.prototype, 'notFound', () => {}),
  ],
  ['of two claims both count', () => replaced(EntryCreation.prototype, 'comesFirst', () => true)],
  [
    'a claim replaces a copy without another look',
    () => replaced(EntryCreation.prototype, 'isVoid', async () => true),
    6_000,
  ],
  [
    'a creation does not look whether its claim stands',
    () => replaced(EntryCreation.prototype, 'stands', async () => true),
    19_500,
  ],
]

// One after another: each changes the library for the whole process.
for (const [fault, apply, from = 1] of withoutRule) {
  test.serial(`a walk finds out that ${fault}`, async (t) => {
    allowLongRun(t, 3_600_000)
    const undo = apply()
    try {
      let wrong: string | undefined
      let seed = from
      for (; wrong === undefined && seed < from + SEEDS; seed += 1) wrong = await registerWalk([1, 2], seed)
      t.log(`walk ${seed - 1}: ${wrong?.split('\n')[0]}`)
      t.not(wrong, undefined)
    } finally {
      undo()
    }
  })
}

function replaced<P extends object, K extends keyof P>(prototype: P, name: K, faulty: P[K]): () => void {
  const original = prototype[name]
  prototype[name] = faulty
  return () => void (prototype[name] = original)
}
