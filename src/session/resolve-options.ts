import { setTimeout as delay } from 'node:timers/promises'
import { defaultLimits } from '../codec/limits.ts'
import { Events } from './events.ts'
import { checkManagerOptions, wrong } from './check-options.ts'
import { IDLE_TIMEOUT, type ManagerOptions } from './options.ts'
import { openProvider } from './providers.ts'
import { defaultRegistry } from '../registry.ts'
import { SessionSchema } from './schema.ts'
import { SealedStore, type SealOptions } from './backend/sealed-store.ts'
import type { ManagerSettings } from './settings.ts'
import type { Store } from '../store.ts'

/** Checks a manager's options and fills in the defaults. */
export function resolveOptions(options: ManagerOptions, carrier?: string): ManagerSettings {
  checkManagerOptions(options)
  const { store, provider, providerConfig } = options
  if (store !== undefined && (provider !== undefined || providerConfig !== undefined)) {
    throw wrong('store', 'cannot be given together with provider or providerConfig')
  }
  if (store !== undefined && typeof store.traits !== 'object')
    throw wrong('store', 'is no store: it has no traits')
  const now = options.now ?? Date.now
  const idleTimeout = options.idleTimeout ?? IDLE_TIMEOUT
  const absoluteTimeout = options.absoluteTimeout ?? Math.max(7 * 24 * 60 * 60 * 1000, idleTimeout)
  if (idleTimeout > absoluteTimeout) throw wrong('idleTimeout', 'is longer than absoluteTimeout')
  const { rotateAfter, rotateGrace = 30_000 } = options
  if (rotateAfter !== undefined && rotateGrace >= rotateAfter) {
    throw wrong('rotateGrace', 'is not shorter than rotateAfter')
  }
  // Settings that were refused above leave nothing open.
  const opened = store ?? openProvider(provider ?? 'memory', providerConfig ?? '', { now })
  return {
    store: prepared(opened, options.seal, carrier, now),
    idleTimeout,
    absoluteTimeout,
    openTimeout: options.openTimeout ?? 6_000,
    commitTimeout: options.commitTimeout ?? 12_000,
    maxPending: options.maxPending ?? 1_000,
    rotateAfter,
    rotateGrace,
    hash: options.hash ?? 'sha256',
    idPrefix: options.idPrefix ?? '',
    keepEmpty: options.keepEmpty ?? false,
    registry: options.registry ?? defaultRegistry,
    limits: { ...defaultLimits, ...options.limits },
    schema: options.schema === undefined ? undefined : new SessionSchema(options.schema),
    sweepInterval: options.sweepInterval ?? 60_000,
    events: new Events(options.onEvent),
    now,
    pause: options.pause ?? delay,
  }
}

/** The store as the manager uses it: bound to its carrier where it is on the client, sealed where it is asked to be. */
function prepared(
  store: Store,
  seal: SealOptions | undefined,
  carrier: string | undefined,
  now: () => number,
): Store {
  if (store.traits.location === 'client') {
    if (seal !== undefined)
      throw wrong('seal', 'is for stores on a server; what this one hands out is sealed already')
    return (carrier === undefined ? undefined : store.bind?.(carrier)) ?? store
  }
  return seal === undefined ? store : new SealedStore(store, seal, now)
}
