import { absence } from './contract/absence.ts'
import { endings } from './contract/destroy-races.ts'
import { expiry } from './contract/expiry.ts'
import { extending } from './contract/touch.ts'
import type { StorePromise } from './harness.ts'
import { isolation } from './contract/key-isolation.ts'
import { keeping } from './contract/round-trip.ts'
import { payloads } from './contract/payloads.ts'
import { races } from './contract/races.ts'
import { sharing } from './contract/durability.ts'
import { sweeping } from './contract/sweep-and-count.ts'
import { trouble } from './contract/failures.ts'
import { versions } from './contract/compare-and-swap.ts'

/**
 * What `src/store.ts` promises, as a list for any test runner:
 *
 * ```ts
 * const { traits } = await harness.open()
 * for (const promise of storeContract) {
 *   if (promise.appliesTo(traits, harness)) test(promise.title, () => promise.check(harness))
 * }
 * ```
 *
 * Each promise uses fresh random keys, a few short names apart, and removes them. So the order does not matter, and the
 * backend need not be empty. It must be a backend for tests: time is turned forward by years on it, and sweeps are swept.
 * No promise waits for real time to pass.
 */
export const storeContract: readonly StorePromise[] = [
  ...keeping,
  ...absence,
  ...versions,
  ...expiry,
  ...extending,
  ...races,
  ...endings,
  ...isolation,
  ...payloads,
  ...sharing,
  ...sweeping,
  ...trouble,
]
