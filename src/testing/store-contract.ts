import { absence } from './absence.ts'
import { endings } from './endings.ts'
import { expiry } from './expiry.ts'
import { extending } from './extending.ts'
import type { StorePromise } from './harness.ts'
import { isolation } from './isolation.ts'
import { keeping } from './keeping.ts'
import { payloads } from './payloads.ts'
import { races } from './races.ts'
import { sharing } from './sharing.ts'
import { sweeping } from './sweeping.ts'
import { trouble } from './trouble.ts'
import { versions } from './versions.ts'

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
