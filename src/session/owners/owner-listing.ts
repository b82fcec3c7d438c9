import { SessionError } from '../../errors.ts'
import type { Deadline } from '../../stores/shared/deadlines.ts'
import type { ManagerSettings } from '../options.ts'
import type { SessionState } from '../state.ts'
import type { OwnerRecords } from './owner-records.ts'
import { ownerIn, unbind, type SignedIn } from './sign-in.ts'

type Settings = Pick<ManagerSettings, 'owners' | 'events' | 'now'>

/** The default of `owners.verifyEvery`, in ms. */
export const VERIFY_EVERY: number = 5 * 60 * 1000
/** How many sessions a process remembers to have verified. */
const MOST_VERIFIED = 10_000

/** What commits and openings do with the record of a session's owner. For a session without one they do nothing. */
export class OwnerListing {
  readonly #settings: Settings
  readonly #records: OwnerRecords
  /** When each session was last found in its owner's record, by its handle; the oldest first. */
  readonly #verified = new Map<string, number>()

  constructor(settings: Settings, records: OwnerRecords) {
    this.#settings = settings
    this.#records = records
  }

  /**
   * Lists the record that a session was created in, or is about to move to, before its client is told.
   *
   * @returns whether the session may live: `false` if it was ended
   * @throws SessionError if a sign-in is refused
   */
  async list(state: SessionState, key: string): Promise<boolean> {
    const { signIn, handle, deadline, draft } = state
    const { events, now } = this.#settings
    if (signIn === undefined) {
      const owner = ownerIn(draft.attributes)
      return owner === undefined || this.#records.follow(owner, handle, key, deadline)
    }
    try {
      const { sessions, isNewDevice } = await this.#records.enlist(
        signIn.owner,
        { ...signIn, handle, key },
        deadline,
      )
      this.#remember(handle, now())
      state.listed(isNewDevice)
      events.emit({ type: 'signed-in', handle, sessions, isNewDevice })
      const { owner, label } = signIn
      this.#tell({ owner, handle, sessions, isNewDevice, label })
      return true
    } catch (error) {
      const code = error instanceof SessionError ? error.code : undefined
      if (code === 'ERR_SESSION_CONFLICT' || code === 'ERR_SESSION_LIMIT') {
        unbind(draft.attributes)
        state.signedIn()
        const reason = code === 'ERR_SESSION_LIMIT' ? 'full' : 'ended'
        events.emit({ type: 'sign-in-refused', handle, reason })
      }
      throw error
    }
  }

  /**
   * Looks whether a session that was opened is still in its owner's record, if this process has not done so for a while.
   *
   * @returns the answer, or `undefined` if it need not be asked
   */
  verify(state: SessionState, deadline: Deadline): Promise<boolean> | undefined {
    const owner = ownerIn(state.draft.attributes)
    if (owner === undefined) return undefined
    const { now } = this.#settings
    const { handle } = state
    const at = now()
    const before = this.#verified.get(handle)
    if (before !== undefined && Math.abs(at - before) < this.verifyEvery) return undefined
    return this.#records.verify(owner, handle, state.storedKey, deadline).then(
      (listed) => {
        if (listed) this.#remember(handle, at)
        else this.#verified.delete(handle)
        return listed
      },
      (error: unknown) => {
        // A store in trouble says nothing about the session; the next request asks again.
        if (this.verifyEvery === 0) throw error
        return true
      },
    )
  }

  /** How often a session is looked for: `0` for each time that it is opened. */
  get verifyEvery(): number {
    return this.#settings.owners.verifyEvery ?? VERIFY_EVERY
  }

  /** An error of the program's function must not fail the sign-in; it is reported as an uncaught exception instead. */
  #tell(signedIn: SignedIn): void {
    try {
      this.#settings.owners.onSignIn?.(signedIn)
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
  }

  #remember(handle: string, at: number): void {
    this.#verified.delete(handle)
    this.#verified.set(handle, at)
    const [oldest] = this.#verified.keys()
    if (this.#verified.size > MOST_VERIFIED && oldest !== undefined) this.#verified.delete(oldest)
  }
}
