import { SessionError } from '../../errors.ts'
import type { Entry } from '../../store.ts'
import { startDeadline, type Deadline } from '../../stores/shared/deadlines.ts'
import type { ManagerSettings } from '../options.ts'
import type { Session } from '../session.ts'
import { isSameOwner, type Owner } from './owner.ts'
import type { ListedSession, OwnerRecords } from './owner-records.ts'

/**
 * The sessions of one owner, from `manager.sessionsOf(owner)`: to list them, and to end one or all.
 *
 * ```ts
 * const anns = manager.sessionsOf('ann')
 * for (const { handle, label, lastUsedAt } of await anns.list()) console.log(label, new Date(lastUsedAt), handle)
 * await anns.endAll({ except: ctx.session })
 * ```
 */
export class OwnerSessions {
  readonly owner: Owner
  readonly #settings: Pick<ManagerSettings, 'commitTimeout' | 'events'>
  readonly #records: OwnerRecords

  /** @internal Comes from `manager.sessionsOf()`. */
  constructor(
    owner: Owner,
    settings: Pick<ManagerSettings, 'commitTimeout' | 'events'>,
    records: OwnerRecords,
  ) {
    this.owner = owner
    this.#settings = settings
    this.#records = records
  }

  /**
   * Fences a sign-in: called before the credentials are looked at, and handed to `signIn`. If all sessions are ended in between,
   * or the rights are refreshed, the sign-in is refused. For owners that exist only, since it may create a record.
   */
  async since(): Promise<string> {
    return this.#records.since(this.owner, this.#deadline())
  }

  /** The sessions that there are, those first that were used last. */
  async list(): Promise<readonly ListedSession[]> {
    return this.#records.list(this.owner, this.#deadline())
  }

  /** @internal What is stored of the session with this handle. */
  async entryOf(handle: string): Promise<Entry | undefined> {
    return this.#records.find(this.owner, handle, this.#deadline())
  }

  /** Ends the session with this handle. Returns whether there was one. */
  async end(handle: string): Promise<boolean> {
    const hasEnded = await this.#records.end(this.owner, handle, this.#deadline())
    if (hasEnded) this.#settings.events.emit({ type: 'ended', reason: 'one', sessions: 1 })
    return hasEnded
  }

  /**
   * Ends all sessions, those of requests that are under way too, or all but one. A sign-in that was fenced by an earlier
   * {@link since} is refused from then on.
   *
   * @returns how many were ended
   * @throws SessionError `ERR_SESSION_STATE` if `except` does not belong to this owner, or has ended
   */
  async endAll({ except }: { readonly except?: Pick<Session, 'handle' | 'owner'> } = {}): Promise<number> {
    const kept = except === undefined ? undefined : this.#handleOf(except)
    const sessions = await this.#records.endAll(this.owner, kept, this.#deadline())
    this.#settings.events.emit({ type: 'ended', reason: kept === undefined ? 'all' : 'others', sessions })
    return sessions
  }

  /** Tells all sessions that the owner's rights have changed: `session.isOutdated` is true in each until `refreshed()`. */
  async refresh(): Promise<void> {
    await this.#records.refresh(this.owner, this.#deadline())
  }

  #handleOf({ handle, owner }: Pick<Session, 'handle' | 'owner'>): string {
    if (owner !== undefined && isSameOwner(owner, this.owner)) return handle
    throw new SessionError('ERR_SESSION_STATE', 'endAll(): except is not a session of this owner')
  }

  #deadline(): Deadline {
    return startDeadline('commitTimeout', this.#settings.commitTimeout)
  }
}
