import type { BreakerState } from './circuit-breaker.ts'
import type { StoreCalls } from './store-calls.ts'
import { startDeadline } from '../../stores/shared/deadlines.ts'
import { createId, hashId } from '../id.ts'
import type { ManagerSettings } from '../settings.ts'

/** How a store is. Nothing in it tells where the store is or what is wrong with it, so a probe may show it to anybody. */
export interface Health {
  /** The store has just answered. */
  readonly ok: boolean
  /** What the store is called: `'redis'`. */
  readonly store: string
  /** How long a read took, or how long it was waited for, in ms. */
  readonly latencyMs: number
  /** How many calls wait for the store. */
  readonly pending: number
  /** `open` while the store is left alone because it failed several times in a row. */
  readonly breaker: BreakerState
}

/** Asks for what nobody has stored, whatever state the breaker is in; an answer closes it. */
export async function checkHealth(
  { store, hash, idPrefix }: ManagerSettings,
  calls: StoreCalls,
  timeout: number,
): Promise<Health> {
  const key = hashId(createId(idPrefix), hash)
  const deadline = startDeadline('timeout', timeout)
  const ok = await calls
    // A store on the client asks nobody when it reads nonsense, but may have a list of ended sessions to ask.
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
