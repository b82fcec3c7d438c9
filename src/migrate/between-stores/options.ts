import { SessionError } from '../../errors.ts'
import { nearestName } from '../../nearest-name.ts'
import type { Store } from '../../store.ts'

/** Options of `migrate()`. */
export interface MigrateOptions {
  /** The store that leads: new sessions begin in it, and those that are found in the other one are brought to it. */
  readonly to: Store
  /** The store that may still have sessions. It is written to as well. */
  readonly from: Store
  /**
   * When `from` is not asked any more. What has not been used by then is lost, so it should be at least `idleTimeout` after the
   * last process reads both stores, or the longest `maxAge` where sessions have one. The same in all processes.
   */
  readonly until: Date
  /** The clock, in ms since the epoch. Default: `Date.now`. */
  readonly now?: () => number
}

const NAMES = ['to', 'from', 'until', 'now'] as const
const VERBS = ['read', 'create', 'replace', 'touch', 'destroy', 'close'] as const

/** Stores that consist of two: their markers are not to be taken for those of another change. */
const migrating = new WeakSet<object>()

/** Takes note of a store that `migrate()` has made. */
export function noteMigrating<S extends object>(store: S): S {
  migrating.add(store)
  return store
}

/** @throws SessionError `ERR_SESSION_OPTIONS` that names the option */
export function checkMigrateOptions(options: MigrateOptions): void {
  if (typeof options !== 'object' || options === null)
    throw migrateError('the options must be an object with to, from and until')
  for (const name of Object.keys(options)) {
    if (NAMES.some((known) => known === name)) continue
    const nearest = nearestName(name, NAMES)
    const hint = nearest === undefined ? `there are ${NAMES.join(', ')}` : `did you mean ${nearest}?`
    throw migrateError(`${name}: is not a setting; ${hint}`)
  }
  const { to, from, until, now } = options
  checkStore('to', to)
  checkStore('from', from)
  if (to === from) throw migrateError('to and from: are the same store; give two')
  if (!(until instanceof Date) || Number.isNaN(until.getTime()))
    throw migrateError('until: must be a Date, after which from is not asked any more')
  if (now !== undefined && typeof now !== 'function') throw migrateError('now: must be a function')
}

function checkStore(name: string, store: Store): void {
  const isStore =
    typeof store === 'object' && store !== null && VERBS.every((verb) => typeof store[verb] === 'function')
  if (!isStore || typeof store.traits !== 'object') throw migrateError(`${name}: must be a store`)
  if (store.traits.location === 'client')
    throw migrateError(
      `${name}: ${store.traits.name} keeps sessions on the client, so there is nothing on a server to move; sessions begin anew in the new store`,
    )
  if (migrating.has(store))
    throw migrateError(`${name}: is a store of migrate() itself; finish that change first`)
}

/** An `ERR_SESSION_OPTIONS`. */
export function migrateError(problem: string): SessionError {
  return new SessionError('ERR_SESSION_OPTIONS', `migrate: ${problem}`)
}
