import { setTimeout as delay } from 'node:timers/promises'
import { createVersion, Document } from './codec/document.ts'
import { SessionError } from './errors.ts'
import type { GuardedStore } from './guarded-store.ts'
import { createId, hashId } from './id.ts'
import { rebase } from './rebase.ts'
import type { Committed, SessionState } from './session.ts'
import type { ManagerSettings } from './settings.ts'
import type { Entry } from './store.ts'
import { Turns } from './turns.ts'

const MAX_TRIES = 30
const MAX_PAUSE_MS = 50

/** Brings a session's changes into the store: compare-and-swap, and on a conflict rebase and try again. */
export class Committer {
  readonly #settings: ManagerSettings
  readonly #store: GuardedStore
  readonly #turns = new Turns()

  constructor(settings: ManagerSettings, store: GuardedStore) {
    this.#settings = settings
    this.#store = store
  }

  /** Stores what changed; with nothing changed at most extends the session's life. */
  async commit(state: SessionState): Promise<Committed> {
    if (state.status === 'gone') return 'gone'
    if (state.status === 'new') return this.#create(state)
    if (state.nextId !== undefined) return this.#regenerate(state, state.nextId)
    return this.#contend(state, async (base) => this.#write(state, base))
  }

  /** Removes one key from the stored session and returns its value, for this caller alone. */
  async claim(state: SessionState, key: string): Promise<unknown> {
    const { draft } = state
    const kind = draft.slots.get(key)?.kind
    if (draft.cleared || kind === 'set' || kind === 'delete' || !draft.base.has(key)) {
      const value = draft.get(key)
      if (draft.has(key)) draft.delete(key)
      return value
    }
    let value: unknown
    const outcome = await this.#contend(state, async (base) => {
      value = undefined
      if (!draft.base.has(key)) return 'ok'
      value = draft.get(key)
      const payload = draft.base.write(
        this.#header(state),
        new Map([[key, undefined]]),
        this.#settings.limits,
      )
      const written = await this.#store.replace(keyOf(state), payload, this.expiresAt(state), base)
      if (typeof written === 'string') return written
      state.entry = written.entry
      draft.slots.delete(key)
      rebase(draft, Document.parse(payload, this.#settings.limits), this.#settings.registry)
      return 'ok'
    })
    return outcome === 'ok' ? value : undefined
  }

  /** Until when the session lives if it is committed or touched now. */
  expiresAt(state: SessionState): number {
    const { now, idleTimeout, absoluteTimeout } = this.#settings
    return Math.min(now() + idleTimeout, state.createdAt + absoluteTimeout)
  }

  async #create(state: SessionState): Promise<Committed> {
    const { draft } = state
    const { limits, events, now } = this.#settings
    const changes = draft.changes()
    if (changes.size === 0) return 'ok'
    const startedAt = now()
    state.id = state.nextId ?? state.id ?? createId(this.#settings.idPrefix)
    state.nextId = undefined
    state.key = hashId(state.id, this.#settings.hash)
    const payload = draft.base.write(this.#header(state), changes, limits)
    const written = await this.#store.create(keyOf(state), payload, this.expiresAt(state))
    if (written === 'exists') throw new SessionError('ERR_SESSION_STORE', 'a new session ID is already taken')
    this.#stored(state, written.entry, payload)
    state.status = 'stored'
    state.handle = written.handle
    if (events.heard) events.emit({ type: 'created', bytes: payload.length, durationMs: now() - startedAt })
    return 'ok'
  }

  /** One try to store the changes upon `base`. */
  async #write(state: SessionState, base: Entry): Promise<Committed | 'conflict'> {
    const { draft } = state
    const { limits, keepEmpty, events } = this.#settings
    const changes = draft.changes()
    if (changes.size === 0 && (keepEmpty || !isEmpty(base.payload))) return this.#touchIfDue(state, base)
    const payload = draft.base.write(this.#header(state), changes, limits)
    if (!keepEmpty && isEmpty(payload)) {
      const outcome = await this.#store.destroy(keyOf(state), base)
      if (outcome !== 'ok') return outcome
      draft.settle(payload)
      Object.assign(state, {
        status: 'new',
        id: undefined,
        key: undefined,
        entry: undefined,
        handle: undefined,
        ended: true,
      })
      events.emit({ type: 'destroyed' })
      return 'ok'
    }
    const written = await this.#store.replace(keyOf(state), payload, this.expiresAt(state), base)
    if (typeof written === 'string') return written
    this.#stored(state, written.entry, payload)
    state.handle = written.handle ?? state.handle
    return 'ok'
  }

  /** Most backends extend a life while they read; for the others, one touch per tenth of the idle timeout. */
  async #touchIfDue(state: SessionState, base: Entry): Promise<Committed> {
    const expiresAt = this.expiresAt(state)
    if (expiresAt - base.expiresAt <= this.#settings.idleTimeout / 10) return 'ok'
    const outcome = await this.#store.touch(keyOf(state), expiresAt)
    if (outcome === 'ok') state.entry = { ...base, expiresAt }
    return outcome
  }

  /** Tries until the store says neither conflict nor trouble; rebases in between. */
  async #contend(
    state: SessionState,
    attempt: (base: Entry) => Promise<Committed | 'conflict'>,
  ): Promise<Committed> {
    const { events, now } = this.#settings
    const startedAt = now()
    const before = state.entry
    const outcome = await attempt(stored(state))
    if (outcome !== 'conflict') return this.#finish(state, outcome, 1, startedAt, before)
    return this.#turns.take(keyOf(state), async (latest) => {
      let hint = latest
      for (let tries = 2; tries <= MAX_TRIES; tries += 1) {
        const newer = hint ?? (await this.#store.read(keyOf(state)))
        if (newer === undefined) return [this.#finish(state, 'gone', tries, startedAt, before), undefined]
        this.#rebase(state, newer)
        if (events.heard) events.emit({ type: 'rebased', tries })
        const next = await attempt(newer)
        if (next !== 'conflict') return [this.#finish(state, next, tries, startedAt, before), state.entry]
        if (hint === undefined) await delay(Math.random() * Math.min(2 ** tries, MAX_PAUSE_MS))
        hint = undefined
      }
      throw contention()
    })
  }

  /** Creates the record under the new ID, then ends the old one if it is still what this request knows. */
  async #regenerate(state: SessionState, nextId: string): Promise<Committed> {
    const { draft } = state
    const { limits, keepEmpty, events, hash } = this.#settings
    const oldKey = keyOf(state)
    const newKey = hashId(nextId, hash)
    let base = stored(state)
    let successor: Entry | undefined
    let emptied = false
    try {
      for (let tries = 1; tries <= MAX_TRIES; tries += 1) {
        const payload = draft.base.write(this.#header(state), draft.changes(), limits)
        emptied = !keepEmpty && isEmpty(payload)
        if (emptied) break
        const expiresAt = this.expiresAt(state)
        const written: Awaited<ReturnType<GuardedStore['create']>> | 'conflict' | 'gone' =
          successor === undefined
            ? await this.#store.create(newKey, payload, expiresAt)
            : await this.#store.replace(newKey, payload, expiresAt, successor)
        if (typeof written === 'string')
          throw new SessionError('ERR_SESSION_STORE', 'a new session ID is already taken')
        successor = written.entry
        const outcome = await this.#store.destroy(oldKey, base)
        if (outcome === 'ok') {
          state.id = nextId
          state.key = newKey
          state.nextId = undefined
          state.handle = written.handle
          this.#stored(state, written.entry, payload)
          events.emit({ type: 'regenerated' })
          return 'ok'
        }
        const newer = outcome === 'gone' ? undefined : await this.#store.read(oldKey)
        if (newer === undefined) {
          await this.#store.destroy(newKey)
          return this.#finish(state, 'gone', tries, 0, base)
        }
        this.#rebase(state, newer)
        base = newer
      }
      if (successor !== undefined) {
        // Nothing is left to move to the new ID, or others never let us.
        await this.#store.destroy(newKey)
        successor = undefined
      }
    } catch (error) {
      // The client keeps its old ID, so the new record must not stay; if it cannot be removed now, it expires unseen.
      if (successor !== undefined) await this.#store.destroy(newKey).catch(() => {})
      throw error
    }
    if (!emptied) throw contention()
    state.nextId = undefined
    state.entry = base
    return this.#contend(state, async (entry) => this.#write(state, entry))
  }

  #rebase(state: SessionState, newer: Entry): void {
    const lost = rebase(
      state.draft,
      Document.parse(newer.payload, this.#settings.limits),
      this.#settings.registry,
    )
    state.entry = newer
    if (lost > 0) this.#settings.events.emit({ type: 'conflict', keys: lost })
  }

  #stored(state: SessionState, entry: Entry, payload: string): void {
    state.entry = entry
    state.draft.settle(payload)
  }

  #finish(
    state: SessionState,
    outcome: Committed,
    tries: number,
    startedAt: number,
    before: Entry | undefined,
  ): Committed {
    const { events, now } = this.#settings
    if (outcome === 'gone') {
      state.status = 'gone'
      events.emit({ type: 'gone' })
    } else if (events.heard && state.entry !== undefined && state.entry.payload !== before?.payload) {
      const bytes = state.entry.payload.length
      events.emit({ type: 'committed', bytes, tries, durationMs: now() - startedAt })
    }
    return outcome
  }

  #header(state: SessionState): {
    version: string
    createdAt: number
    attributes: ReadonlyMap<string, string>
  } {
    const { attributes } = state.draft.base.header
    return { version: createVersion(), createdAt: state.createdAt, attributes }
  }
}

function contention(): SessionError {
  const text = `other requests changed this session ${MAX_TRIES} times while this one tried to commit`
  return new SessionError('ERR_SESSION_CONFLICT', text)
}

function stored(state: SessionState): Entry {
  if (state.entry === undefined) throw new SessionError('ERR_SESSION_STATE', 'the session is not stored')
  return state.entry
}

function keyOf(state: SessionState): string {
  if (state.key === undefined) throw new SessionError('ERR_SESSION_STATE', 'the session has no ID yet')
  return state.key
}

/** Whether a payload holds a header and nothing else. */
function isEmpty(payload: string): boolean {
  return payload.indexOf('\n') === payload.length - 1
}
