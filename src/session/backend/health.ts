import type { BreakerState } from './circuit-breaker.ts'
import type { StoreCalls } from './store-calls.ts'
import { startDeadline } from '../../stores/shared/deadlines.ts'
import { createId, hashId } from '../id.ts'
import type { ManagerSettings } from '../options.ts'

/** The state of a store. It tells neither where the store is nor what is wrong with it, so a probe may show it publicly. */
export interface Health {
  /** The store has just answered. */
  readonly ok: boolean
  /** The store's name: `'redis'`. */
  readonly store: string
  /** How long the read took, or was waited for, in ms. */
  readonly latencyMs: number
  /** How many calls wait for the store. */
  readonly pending: number
  /** `open` while calls are refused after several failures in a row. */
  readonly breaker: BreakerState
}

/** Reads a key that does not exist, whatever the state of the circuit. An answer closes it. */
export async function checkHealth(
  { store, hash, idPrefix }: Pick<ManagerSettings, 'store' | 'hash' | 'idPrefix'>,
  calls: StoreCalls,
  timeout: number,
): Promise<Health> {
  const key = hashId(createId(idPrefix), hash)
  const deadline = startDeadline('timeout', timeout)
  const ok = await calls
    // A store on the client contacts no backend when it reads nonsense, but its list of ended sessions may have one.
    .probe<unknown>(
      async () => (store.traits.location === 'client' ? store.touch(key, 0) : store.read(key)),
      deadline,
    )
    .then(
      () => true,
      () => false,
    )
  const latencyMs = Math.round((performance.now() - deadline.startedAt) * 100) / 100
  return { ok, store: store.traits.name, latencyMs, pending: calls.pending, breaker: calls.breaker }
}
