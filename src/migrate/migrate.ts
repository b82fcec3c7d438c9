import { TwoStores, type MigratingStore } from './between-stores/migrating-store.ts'
import { checkMigrateOptions, noteMigrating, type MigrateOptions } from './between-stores/options.ts'

export type { MigrateOptions, MigratingStore }

/**
 * A store made of two, to change the engine under load without a logout. It reads `to` and then `from`, and brings what it
 * finds there to `to`. An entry is in one of the two at any time: no acknowledged write is lost, and what was destroyed does
 * not come back, whatever crashes or arrives late.
 *
 * The change takes three deployments, and while one is rolled out, processes of two steps work side by side:
 *
 * ```ts
 * const until = new Date('2026-12-24')
 * session({ store: migrate({ to: old, from: next, until }) }) // 1: all processes learn to read both
 * session({ store: migrate({ to: next, from: old, until }) }) // 2: sessions move as they are used
 * session({ store: next }) // 3: some minutes after `until`
 * ```
 *
 * Step 1 is also how step 2 is rolled back. A session that is in `to` takes as many calls as without `migrate`, but a touch
 * takes one read more; a new session or an unknown ID takes one read more, and to move a session takes three writes, once.
 * Close it with the manager: it closes both stores.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` if an option is missing or unknown, or if a store keeps sessions on the client
 */
export function migrate(options: MigrateOptions): MigratingStore {
  checkMigrateOptions(options)
  return noteMigrating(new TwoStores(options))
}
