import { createVersion, Document, type Header } from '../../codec/document/document.ts'
import { SessionError } from '../../errors.ts'
import type { GuardedStore } from '../backend/guarded-store.ts'
import { rebase } from '../rebase.ts'
import { redirectOf } from '../redirect.ts'
import type { SessionState } from '../state.ts'
import type { Committed } from '../session.ts'
import type { ManagerSettings } from '../resolve-options.ts'
import type { Entry } from '../../store.ts'
import { KeyQueue } from './key-queue.ts'

/**
 * How often a request tries to get its changes in between those of other processes. Of eight that do nothing else, one in
 * eight tries succeeds; a hundred failures in a row are then less likely than one in a hundred thousand.
 */
export const MAX_TRIES = 100
const MAX_PAUSE_MS = 50

/** One try to bring changes into the store upon a known state of the session. */
export type Attempt = (base: Entry) => Promise<Committed | 'conflict'>

/** What happens between two requests that want to change one session: tries, rebases, and an end to them. */
export class CommitRetry {
  readonly #settings: ManagerSettings
  readonly #store: GuardedStore
  readonly #keyQueue = new KeyQueue()

  constructor(settings: ManagerSettings, store: GuardedStore) {
    this.#settings = settings
    this.#store = store
  }

  /** Tries until nobody is in between any more; rebases after each conflict. */
  async run(state: SessionState, attempt: Attempt): Promise<Committed> {
    const startedAt = this.#settings.now()
    const before = entryOf(state).payload
    const isTaken = this.#keyQueue.taken(keyOf(state))
    const first = isTaken ? 'conflict' : await attempt(entryOf(state))
    if (first !== 'conflict') return this.#finish(state, first, 1, startedAt, before)
    const [outcome, tries] = await this.#inTurn(state, attempt, isTaken ? 1 : 2)
    return this.#finish(state, outcome, tries, startedAt, before)
  }

  /** With those of this process that came before out of the way. They tell what they left; others must be asked. */
  async #inTurn(state: SessionState, attempt: Attempt, from: number): Promise<[Committed, tries: number]> {
    const { events, pause } = this.#settings
    const key = keyOf(state)
    const wait = async <T>(others: Promise<T>): Promise<T> => this.#store.calls.queue(others, state.deadline)
    return this.#keyQueue.take(key, wait, async (latest) => {
      // Who has not tried yet still believes in what it read.
      let hint = latest ?? (from === 1 ? entryOf(state) : undefined)
      for (let tries = from; tries <= MAX_TRIES; tries += 1) {
        const newer = hint ?? (await this.latest(state))
        if (newer === undefined) return [['gone', tries], undefined]
        if (newer !== entryOf(state)) {
          this.rebase(state, newer)
          if (events.heard) events.emit({ type: 'rebased', tries })
        }
        const outcome = await attempt(newer)
        if (outcome !== 'conflict') return [[outcome, tries], state.key === key ? state.entry : undefined]
        if (hint === undefined) await wait(pause(jitter(tries)))
        hint = undefined
      }
      throw contention()
    })
  }

  /**
   * What is stored of the session now, wherever a renewal has moved it: who came while its ID was good goes along, however
   * long it takes. `undefined` if it has ended.
   */
  async latest(state: SessionState): Promise<Entry | undefined> {
    for (let moves = 0; moves < MAX_TRIES; moves += 1) {
      const entry = await this.#store.read(keyOf(state), undefined, state.deadline)
      const redirect = entry && redirectOf(entry.payload)
      if (redirect === undefined) return entry
      Object.assign(state, { key: redirect.successor, isRedirected: true })
    }
    return undefined
  }

  /** Puts the session's changes upon what somebody else has stored. */
  rebase(state: SessionState, newer: Entry): void {
    const { limits, registry, events } = this.#settings
    const lost = rebase(state.draft, Document.parse(newer.payload, limits), registry)
    state.entry = newer
    if (lost > 0) events.emit({ type: 'conflict', keys: lost })
  }

  /** Somebody else has ended the session: it stays ended. */
  gone(state: SessionState): 'gone' {
    state.status = 'gone'
    this.#settings.events.emit({ type: 'gone' })
    return 'gone'
  }

  #finish(
    state: SessionState,
    outcome: Committed,
    tries: number,
    startedAt: number,
    before: string,
  ): Committed {
    const { events, now } = this.#settings
    if (outcome === 'gone') return this.gone(state)
    if (events.heard && state.entry !== undefined && state.entry.payload !== before) {
      const bytes = state.entry.payload.length
      events.emit({ type: 'committed', bytes, tries, durationMs: now() - startedAt })
    }
    return 'ok'
  }
}

/** The header of the next payload: a version of its own, what the one before carried, and an attribute of its own. */
export function nextHeader(
  { createdAt, draft }: SessionState,
  own?: readonly [name: string, value: string],
): Header {
  return { version: createVersion(), createdAt, attributes: draft.attributes.write(own) }
}

export function entryOf({ entry }: SessionState): Entry {
  if (entry === undefined) throw new SessionError('ERR_SESSION_STATE', 'the session is not stored')
  return entry
}

export function keyOf({ key }: SessionState): string {
  if (key === undefined) throw new SessionError('ERR_SESSION_STATE', 'the session has no ID yet')
  return key
}

/** How long to wait after so many tries, in ms. At random, so that those who met do not meet again. */
export function jitter(tries: number): number {
  return Math.random() * Math.min(2 ** tries, MAX_PAUSE_MS)
}

export function contention(): SessionError {
  const text = `other requests changed this session ${MAX_TRIES} times while this one tried to commit`
  return new SessionError('ERR_SESSION_CONFLICT', text)
}
