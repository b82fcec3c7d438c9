import { absence } from './contract/absence.ts'
import { destroyRaces } from './contract/destroy-races.ts'
import { expiry } from './contract/expiry.ts'
import { touch } from './contract/touch.ts'
import type { StoreRequirement } from './requirement.ts'
import { keyIsolation } from './contract/key-isolation.ts'
import { roundTrip } from './contract/round-trip.ts'
import { payloads } from './contract/payloads.ts'
import { races } from './contract/races.ts'
import { durability } from './contract/durability.ts'
import { sweepAndCount } from './contract/sweep-and-count.ts'
import { failures } from './contract/failures.ts'
import { compareAndSwap } from './contract/compare-and-swap.ts'

/**
 * What `src/store.ts` promises, as a list for any test runner:
 *
 * ```ts
 * const { traits } = await harness.open()
 * for (const requirement of storeContract) {
 *   if (requirement.appliesTo(traits, harness)) test(requirement.title, () => requirement.check(harness))
 * }
 * ```
 *
 * Each requirement uses fresh random keys, a few short names apart, and removes them. So the order does not matter, and the
 * backend need not be empty. It must be a backend for tests: time is turned forward by years on it, and sweeps are swept.
 * No requirement waits for real time to pass.
 */
export const storeContract: readonly StoreRequirement[] = [
  ...roundTrip,
  ...absence,
  ...compareAndSwap,
  ...expiry,
  ...touch,
  ...races,
  ...destroyRaces,
  ...keyIsolation,
  ...payloads,
  ...durability,
  ...sweepAndCount,
  ...failures,
]
