import type { Store } from '../../store.ts'
import type { Deadline } from '../../stores/shared/deadlines.ts'
import { GuardedStore } from '../backend/guarded-store.ts'
import { StoreCalls } from '../backend/store-calls.ts'
import { Sweeper } from '../backend/sweeper.ts'
import { optionError } from '../check-options.ts'
import type { ManagerSettings } from '../options.ts'

/** A store that keeps the records of owners and no sessions: the option `owners.store`. Its failures open no circuit for sessions. */
export class OwnerStore {
  readonly guarded: GuardedStore
  readonly #calls: StoreCalls
  readonly #sweeper: Sweeper

  constructor(settings: ManagerSettings, store: Store) {
    const own = { ...settings, store }
    this.#calls = new StoreCalls(own)
    this.guarded = new GuardedStore(own, this.#calls)
    this.#sweeper = new Sweeper(this.guarded, settings.events, settings.sweepInterval)
  }

  async open(deadline: Deadline): Promise<void> {
    await this.#calls.run('open', async () => this.guarded.store.open?.(), deadline)
  }

  /** Removes expired records from now on, where the backend does not do so by itself. */
  start(): void {
    this.#sweeper.start()
  }

  async sweep(): Promise<number> {
    return this.#sweeper.sweep()
  }

  /** Refuses new calls. */
  refuse(): void {
    this.#calls.close()
  }

  /** @param patience makes the deadline of each step */
  async close(patience: () => Deadline): Promise<void> {
    await this.#calls.queue(this.#sweeper.close(), patience()).catch(() => {}) // a batch that hangs must not keep the store open
    await this.#calls.run('close', async () => this.guarded.store.close(), patience())
  }
}

/**
 * Refuses owners where nothing says how soon a lost record is noticed.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` if a shared store may forget records and `owners.verifyEvery` is not given
 */
export function checkForgetting({ owners, store }: Pick<ManagerSettings, 'owners' | 'store'>): void {
  const { traits } = owners.store ?? store.records ?? store
  // What only this process sees is no place for sessions that others rely on.
  if (owners.verifyEvery !== undefined || traits.evicts !== true || !traits.shared) return
  throw optionError(
    'owners.verifyEvery',
    `must be given: the ${traits.name} store may forget entries to make room, and the sessions of an owner whose record is lost end within that time`,
  )
}
