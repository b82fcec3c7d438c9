import assert from 'node:assert/strict'
import type { Store, StoreTraits } from '../store.ts'
import type { StoreHarness } from './harness.ts'
import { Trial } from './trial.ts'

/** One requirement of the store contract. */
export interface StoreRequirement {
  /** A sentence about behaviour, usable as the title of a test. Unique within its list. */
  readonly title: string

  /** Whether the requirement holds for stores with these traits, and can be checked with this harness. */
  readonly appliesTo: (traits: StoreTraits, harness: StoreHarness) => boolean

  /**
   * Resolves if the requirement holds. Otherwise rejects with an `AssertionError`, or with the error that the store threw. A
   * requirement that does not apply rejects as well, so that a test never passes unchecked.
   *
   * Checks on the same harness run one after another, however they are started, since they advance the same clock.
   */
  readonly check: (harness: StoreHarness) => Promise<void>
}

export type Condition = StoreRequirement['appliesTo']

export const everywhere: Condition = () => true
export const onServer: Condition = (traits) => traits.location === 'server'
export const onClient: Condition = (traits) => traits.location === 'client'
export const revocable: Condition = (traits) => traits.location === 'server' && traits.revocable

/** The last check of each harness. */
const checks = new WeakMap<StoreHarness, Promise<unknown>>()

/** A requirement called `title`: `hold` tries it on a new store, and throws if it does not hold. */
export function requirement(
  title: string,
  appliesTo: Condition,
  hold: (store: Store, trial: Trial, harness: StoreHarness) => Promise<void>,
): StoreRequirement {
  async function attempt(harness: StoreHarness): Promise<void> {
    const trial = new Trial(harness)
    try {
      const store = await trial.open()
      assert.ok(appliesTo(store.traits, harness), 'this requirement does not apply here: ask appliesTo first')
      await hold(store, trial, harness)
    } finally {
      await trial.end()
    }
  }

  async function check(harness: StoreHarness): Promise<void> {
    const before = checks.get(harness)
    const mine = before === undefined ? attempt(harness) : before.then(async () => attempt(harness))
    checks.set(
      harness,
      mine.catch(() => undefined),
    )
    await mine
  }

  return { title, appliesTo, check }
}
