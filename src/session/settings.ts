import type { Limits } from '../codec/limits.ts'
import type { Events } from './events.ts'
import { hashId } from './id.ts'
import type { Registry } from '../registry.ts'
import type { SessionSchema } from './schema.ts'
import type { Store } from '../store.ts'

/** What a manager works with: every setting present and checked, times in ms. */
export interface ManagerSettings {
  readonly store: Store
  readonly idleTimeout: number
  readonly absoluteTimeout: number
  readonly openTimeout: number
  readonly commitTimeout: number
  readonly maxPending: number
  readonly rotateAfter: number | undefined
  readonly rotateGrace: number
  readonly hash: string
  readonly idPrefix: string
  readonly keepEmpty: boolean
  readonly registry: Registry
  readonly limits: Limits
  readonly schema: SessionSchema | undefined
  readonly sweepInterval: number
  readonly events: Events
  readonly now: () => number
  readonly pause: (ms: number) => Promise<void>
}

/** What the store files an ID under: its hash; in a store on the client, where nothing can leak, the ID itself. */
export function storeKey({ store, hash }: Pick<ManagerSettings, 'store' | 'hash'>, id: string): string {
  return store.traits.location === 'client' ? id : hashId(id, hash)
}
