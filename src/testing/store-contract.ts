import { absence } from './contract/absence.ts'
import { compareAndSwap } from './contract/compare-and-swap.ts'
import { durability } from './contract/durability.ts'
import { expiry } from './contract/expiry.ts'
import { failures } from './contract/failures.ts'
import { keyIsolation } from './contract/key-isolation.ts'
import { payloads } from './contract/payloads.ts'
import { races } from './contract/races.ts'
import { roundTrip } from './contract/round-trip.ts'
import { sweepAndCount } from './contract/sweep-and-count.ts'
import { touch } from './contract/touch.ts'
import type { StoreRequirement } from './requirement.ts'

/**
 * The store contract as a list of requirements, for any test runner: everything that `Store` demands of its six verbs, one
 * requirement after another, each checked on stores that your {@link StoreHarness} opens.
 *
 * ```ts
 * import { test } from 'node:test'
 * import { MemoryStore } from 'koa-typed-session/stores/memory'
 * import { storeContract, type StoreHarness } from 'koa-typed-session/testing'
 *
 * let clock = Date.now()
 * const now = () => clock
 * const store = new MemoryStore({ now })
 * const harness: StoreHarness = {
 *   open: () => new MemoryStore({ now }),
 *   now,
 *   advance: (ms) => void (clock += ms),
 *   still: true,
 *   sweeps: true,
 *   counts: true,
 * }
 * for (const requirement of storeContract) {
 *   if (!requirement.appliesTo(store.traits, harness)) continue
 *   test(requirement.title, async () => requirement.check(harness))
 * }
 * ```
 *
 * Each requirement uses new random keys and a few short names, and removes them afterwards. So the order of the requirements
 * does not matter, and the backend need not be empty. Use a backend for tests only: the contract advances its time by years
 * and sweeps what has expired. No requirement waits for real time to pass.
 */
export const storeContract: readonly StoreRequirement[] = [
  ...roundTrip,
  ...absence,
  ...compareAndSwap,
  ...expiry,
  ...touch,
  ...races,
  ...keyIsolation,
  ...payloads,
  ...durability,
  ...sweepAndCount,
  ...failures,
]
