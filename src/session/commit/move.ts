import { holdsNothing, ownerKey } from '../owners/owner.ts'
import { SessionError } from '../../errors.ts'
import type { Entry, Written } from '../../store.ts'
import { wasRefused, type GuardedStore } from '../backend/guarded-store.ts'
import { absoluteEnd, endInHeader, expiresAt, issuedAt } from '../expiry.ts'
import { redirectOf, redirectPayload, TRAIL, trailKey, type Redirect } from '../redirect.ts'
import { createHandle } from '../handle.ts'
import { storeKey } from '../id.ts'
import type { ManagerSettings } from '../options.ts'
import type { SessionState, UnsettledMove } from '../state.ts'
import type { OwnerListing } from '../owners/owner-listing.ts'
import { ownerIn } from '../owners/sign-in.ts'
import type { Destroyer } from './destroy.ts'
import { conflict, MAX_TRIES } from './conflict.ts'
import { regenerated, type CommitRetry } from './retry.ts'

/** `moved`: the session has its new ID. `empty`: there is nothing to move. `superseded`: another request has rotated the ID. */
export type Moved = 'moved' | 'gone' | 'empty' | 'superseded'

/** How much a store's clock may differ, in ms. */
const CLOCK_TOLERANCE = 60_000

/**
 * Moves a session to a new ID: creates the record under the new key, then makes a redirect of the old record if that is still
 * what this request knows. So no change of another request is lost, one of two concurrent moves wins, and a crash in between
 * leaves only a record whose ID no client holds. Last it reads the tombstones of the keys that the session had: if one is
 * there, the session was ended meanwhile, and the move is taken back.
 */
export class Mover {
  readonly #settings: ManagerSettings
  readonly #store: GuardedStore
  readonly #retry: CommitRetry
  readonly #destroyer: Destroyer
  readonly #listing: OwnerListing

  constructor(
    settings: ManagerSettings,
    store: GuardedStore,
    retry: CommitRetry,
    destroyer: Destroyer,
    listing: OwnerListing,
  ) {
    this.#settings = settings
    this.#store = store
    this.#retry = retry
    this.#destroyer = destroyer
    this.#listing = listing
  }

  /**
   * Moves the session to `nextId`.
   *
   * @param mode what the redirect under the old ID is for: see {@link Redirect.mode}
   */
  async move(state: SessionState, nextId: string, mode: 'open' | 'commit'): Promise<Moved> {
    const { draft, deadline, storedKey: oldKey } = state
    const { keepEmpty, rotateAfter, now } = this.#settings
    const newKey = storeKey(this.#settings, nextId)
    const until = absoluteEnd(state, this.#settings)
    const withdraw = async (): Promise<unknown> => this.#destroyer.end(newKey, undefined, deadline, until)
    const known = draft.attributes.get(TRAIL)
    const trail = mode === 'open' ? (known ?? createHandle()) : undefined
    const own = new Map([...(rotateAfter === undefined ? [] : [issuedAt(now())]), [TRAIL, trail] as const])
    let created: Entry | undefined
    let mayExist = false
    let move: UnsettledMove | undefined
    let isPlaced = false
    let isListed = false
    try {
      const attempt = async (base: Entry): Promise<Moved | 'conflict'> => {
        if (mode === 'open' && state.storedKey !== oldKey) return 'superseded'
        if (mode === 'commit') refuseDisconnected(state)
        const end = endInHeader(state, this.#settings) ?? []
        const payload = draft.write(state.nextHeader(new Map([...own, ...end])), draft.changes())
        if (!keepEmpty && holdsNothing(payload)) return 'empty'
        mayExist = true
        const written = await this.#write(state, newKey, payload, created)
        if (written === 'gone') return 'gone'
        created = written.entry
        // Listed before a redirect leads there, so that whatever can be reached is listed.
        isListed ||= await this.#listing.list(state, newKey)
        if (!isListed) return this.#unlisted(state, base)
        if (mode === 'commit') refuseDisconnected(state)
        move = { key: newKey, payload, entry: written.entry }
        const left = await this.#leaveRedirect(state, newKey, base, mode, trail).catch((error: unknown) => {
          if (wasRefused(error)) move = undefined
          throw error
        })
        isPlaced = left === 'ok'
        if (left !== 'ok') {
          move = undefined
          return left
        }
        if (await this.#isEnded(state)) return 'gone'
        state.movedTo(nextId, newKey, payload, written)
        if (trail !== undefined) await this.#extendTrail(state, trail, known === undefined)
        return 'moved'
      }
      const outcome = await this.#retry.run<Moved>(state, attempt, mode === 'commit')
      if (outcome === 'regenerated') throw regenerated()
      if (outcome !== 'moved' && created !== undefined) await withdraw()
      return outcome
    } catch (error) {
      // No client learns the new ID, so its record must go; but not if a rotation's redirect leads to it, or may still arrive.
      if (mode === 'open' && move !== undefined) {
        if (isPlaced) state.movedUntold(move)
        else state.unsettleMove(move)
      } else if (mayExist) await withdraw().catch(() => {})
      throw error
    }
  }

  /** Replaces the old record by a redirect to the new one. */
  async #leaveRedirect(
    state: SessionState,
    successor: string,
    base: Entry,
    mode: 'open' | 'commit',
    trail: string | undefined,
  ): Promise<'ok' | 'conflict' | 'gone'> {
    const { now, rotateGrace, redirectLife, limits, store } = this.#settings
    // A store on the client keeps no records. It can at most remember that the old credentials are no longer valid.
    if (store.traits.location === 'client')
      return this.#store.destroy(state.storedKey, base, state.deadline, absoluteEnd(state, this.#settings))
    const at = now()
    // Stores expire by their own clocks: the record outlives every request that relies on it.
    const kept = at + redirectLife + CLOCK_TOLERANCE
    const until = mode === 'open' ? at + rotateGrace : kept
    const recordEnd = mode === 'open' ? Math.max(this.#trailEnd(state, until), kept) : kept
    const { storedKey: key, deadline, createdAt } = state
    const redirect = { successor, until, mode, trail, ...this.#namesOf(state) }
    const payload = redirectPayload(createdAt, redirect, limits)
    try {
      const written = await this.#store.replace(key, payload, recordEnd, base, deadline)
      return typeof written === 'string' ? written : 'ok'
    } catch (error) {
      if (!wasRefused(error) && (await this.#leadsTo(state, successor))) return 'ok'
      throw error
    }
  }

  /** The session is not in its owner's record any more, so it is ended. */
  async #unlisted(state: SessionState, base: Entry): Promise<'gone'> {
    const { events } = this.#settings
    await this.#destroyer.end(state.storedKey, base, state.deadline, absoluteEnd(state, this.#settings))
    events.emit({ type: 'unlisted', handle: state.handle })
    return 'gone'
  }

  /** What a redirect says of its session. */
  #namesOf({ handle, draft }: SessionState): Pick<Redirect, 'handle' | 'ownerKey'> {
    const owner = ownerIn(draft.attributes)
    return { handle, ownerKey: owner && ownerKey(owner, this.#settings.hash) }
  }

  /** Until when a logout with an ID follows that was valid until `until`. */
  #trailEnd(state: SessionState, until: number): number {
    return Math.min(until + this.#settings.retiredFor, absoluteEnd(state, this.#settings))
  }

  /** Makes the trail lead to the record as it is now. If that fails, it leads to an older redirect, which leads on. */
  async #extendTrail(state: SessionState, trail: string, isNew: boolean): Promise<void> {
    const { hash, now, rotateGrace, limits } = this.#settings
    const { storedKey: successor, deadline, createdAt } = state
    const key = trailKey(trail, hash)
    const until = this.#trailEnd(state, now() + rotateGrace)
    const redirect = { successor, until, mode: 'latest', trail, ...this.#namesOf(state) } as const
    const payload = redirectPayload(createdAt, redirect, limits)
    try {
      const base = isNew ? undefined : await this.#store.read(key, undefined, deadline)
      if (base === undefined) await this.#store.create(key, payload, until, deadline)
      else await this.#store.replace(key, payload, until, base, deadline)
    } catch {
      // The rotation is done, and its client must be told.
    }
  }

  async #isEnded({ passedKeys, storedKey, deadline }: SessionState): Promise<boolean> {
    if (this.#settings.store.traits.location === 'client') return false
    for (const key of [...passedKeys, storedKey]) {
      const read = async (): Promise<boolean> => this.#destroyer.isEnded(key, deadline)
      if (await read().catch(read)) return true
    }
    return false
  }

  async #leadsTo({ storedKey, deadline }: SessionState, successor: string): Promise<boolean> {
    const entry = await this.#store.read(storedKey, undefined, deadline)
    return entry !== undefined && redirectOf(entry.payload)?.successor === successor
  }

  /**
   * Creates the new record, or replaces what an earlier attempt has written there. For a session with an owner that record is
   * listed by then: it may have been ended from the list, and then it is not created again, or marked by a refresh of the owner's
   * rights, which marks the old record too, from which this payload is made. Without an owner no other request knows its key.
   */
  async #write(
    state: SessionState,
    key: string,
    payload: string,
    base: Entry | undefined,
  ): Promise<Written | 'gone'> {
    const { deadline, draft } = state
    const until = expiresAt(state, this.#settings)
    const isListed = ownerIn(draft.attributes) !== undefined
    let known = base
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const written =
        known === undefined
          ? await this.#store.create(key, payload, until, deadline)
          : await this.#store.replace(key, payload, until, known, deadline)
      if (typeof written !== 'string') return written
      if (written === 'gone' && isListed) return 'gone'
      if (written === 'gone') known = undefined // it was evicted
      else if (written === 'conflict' && isListed) {
        known = await this.#store.read(key, undefined, deadline)
        if (known === undefined) return 'gone'
      } else break
    }
    const text = 'the record of a new session ID is not what was written there'
    throw new SessionError('ERR_SESSION_STORE', text)
  }
}

/** @throws SessionError `ERR_SESSION_CONFLICT` if the client is gone: it would never learn the new ID */
function refuseDisconnected({ response }: SessionState): void {
  if (response?.isDisconnected() !== true) return
  throw conflict(
    'regenerate(): the client has closed the connection, so the session keeps its ID, and nothing was stored',
  )
}
