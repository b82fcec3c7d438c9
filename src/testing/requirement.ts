import assert from 'node:assert/strict'
import type { Store, StoreTraits } from '../store.ts'
import type { StoreHarness, StoreRequirement } from './harness.ts'
import { Trial } from './trial.ts'

/** To which stores, seen through which harness, a requirement applies. */
export type Condition = (traits: StoreTraits, harness: StoreHarness) => boolean

export const everywhere: Condition = () => true
/** Only where the payload stays on this side can a store notice that somebody else was there. */
export const onServer: Condition = (traits) => traits.location === 'server'
export const onClient: Condition = (traits) => traits.location === 'client'
export const revocable: Condition = (traits) => traits.location === 'server' && traits.revocable

/** The last check of each harness, for the next one to wait for. */
const turns = new WeakMap<StoreHarness, Promise<unknown>>()

/** A requirement called `title`: `hold` tries it on a fresh store and throws if it is broken. */
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
    const before = turns.get(harness)
    const mine = before === undefined ? attempt(harness) : before.then(async () => attempt(harness))
    turns.set(
      harness,
      mine.catch(() => undefined),
    )
    await mine
  }

  return { title, appliesTo, check }
}
