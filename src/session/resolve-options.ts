import { setTimeout as delay } from 'node:timers/promises'
import { defaultLimits } from '../codec/limits.ts'
import { knownNames } from '../nearest-name.ts'
import { defaultRegistry } from '../registry.ts'
import type { Store } from '../store.ts'
import { SealedStore } from './backend/sealed-store.ts'
import { checkManagerOptions, optionError } from './check-options.ts'
import { Events } from './events.ts'
import { KeyRules } from './isolation.ts'
import { IDLE_TIMEOUT, type ManagerOptions, type ManagerSettings, type SealOptions } from './options.ts'
import { openDefaultStore, openProvider } from './providers.ts'
import { SessionSchema } from './schema.ts'
import { warnOfSeconds } from './suspicious-times.ts'

/** A request that lasts longer than this while its session gets a new ID is refused even to `destroy()`. In ms. */
const REDIRECT_LIFE = 5 * 60 * 1000

/**
 * Checks a manager's options, opens the store and fills in the defaults.
 *
 * @param carrier for a `'client'` store: the name of the cookie or header that carries its sessions
 * @throws SessionError `ERR_SESSION_OPTIONS` that names the option; then no store was opened
 */
export function resolveOptions(options: ManagerOptions, carrier?: string): ManagerSettings {
  checkManagerOptions(options)
  const { store, provider, providerConfig } = options
  if (store !== undefined && (provider !== undefined || providerConfig !== undefined)) {
    throw optionError('store', 'cannot be given together with provider or providerConfig')
  }
  checkKeys(options)
  const now = options.now ?? Date.now
  const idleTimeout = options.idleTimeout ?? IDLE_TIMEOUT
  const absoluteTimeout = options.absoluteTimeout ?? Math.max(7 * 24 * 60 * 60 * 1000, idleTimeout)
  if (idleTimeout > absoluteTimeout)
    throw optionError('idleTimeout', 'is longer than absoluteTimeout; lower it, or raise absoluteTimeout')
  const { rotateAfter, rotateGrace = 30_000 } = options
  if (rotateAfter !== undefined && rotateGrace >= rotateAfter) {
    throw optionError('rotateGrace', 'is not shorter than rotateAfter; lower it')
  }
  // A program with a clock of its own is a test.
  if (options.now === undefined) warnOfSeconds({ idleTimeout, absoluteTimeout, rotateAfter })
  const commitTimeout = options.commitTimeout ?? 12_000
  const registry = options.registry ?? defaultRegistry
  // Last, so that options that are refused leave no store open.
  const isDefault = provider === undefined && providerConfig === undefined
  const opened =
    store ??
    (isDefault
      ? openDefaultStore({ now })
      : openProvider(provider ?? 'memory', providerConfig ?? '', { now }))
  return {
    store: prepared(opened, options.seal, carrier, now),
    idleTimeout,
    absoluteTimeout,
    openTimeout: options.openTimeout ?? 6_000,
    commitTimeout,
    maxPending: options.maxPending ?? 1_000,
    rotateAfter,
    rotateGrace,
    retiredFor: options.retiredFor ?? 24 * 60 * 60 * 1000,
    onRetired: options.onRetired ?? 'report',
    redirectLife: Math.max(REDIRECT_LIFE, 2 * commitTimeout),
    owners: { max: 100, whenFull: 'unused', ...options.owners, ...ownerStoreOf(options, now) },
    hash: options.hash ?? 'sha256',
    idPrefix: options.idPrefix ?? '',
    keepEmpty: options.keepEmpty ?? false,
    registry,
    rules: new KeyRules(options.isolation ?? 'snapshot', options.keys ?? {}, registry),
    limits: { ...defaultLimits, ...options.limits },
    schema: options.schema === undefined ? undefined : new SessionSchema(options.schema),
    sweepInterval: options.sweepInterval ?? 60_000,
    name: options.name ?? carrier ?? 'sid',
    events: new Events(options.onEvent),
    now,
    pause: options.pause ?? delay,
  }
}

/** With a schema, only its keys can have options of their own. */
function checkKeys({ keys = {}, schema }: ManagerOptions): void {
  if (schema === undefined) return
  for (const key of Object.keys(keys))
    if (!Object.hasOwn(schema, key))
      throw optionError(`keys.${key}`, `is no key of the schema${knownNames(key, Object.keys(schema))}`)
}

/** The store of `owners.store`, sealed as that of the sessions. */
function ownerStoreOf(
  { owners, seal, store: sessions }: ManagerOptions,
  now: () => number,
): { store?: Store } {
  const { store } = owners ?? {}
  if (store === undefined) return {}
  if (store === sessions) throw optionError('owners.store', 'is the store of the sessions; leave it out')
  if (store.traits.location === 'client')
    throw optionError('owners.store', 'must be a store that keeps its entries on a server')
  return { store: seal === undefined ? store : new SealedStore(store, seal, now) }
}

/** Binds a `'client'` store to its carrier, and seals any other one if the options say so. */
function prepared(
  store: Store,
  seal: SealOptions | undefined,
  carrier: string | undefined,
  now: () => number,
): Store {
  if (store.traits.location === 'client') {
    if (seal !== undefined)
      throw optionError('seal', 'is for stores on a server; this store seals its sessions itself')
    return (carrier === undefined ? undefined : store.bind?.(carrier)) ?? store
  }
  return seal === undefined ? store : new SealedStore(store, seal, now)
}
