import { Document } from '../codec/document/document.ts'
import { ValueCodec } from '../codec/value/value-codec.ts'
import { Committer } from './commit/committer.ts'
import { noDeadline } from '../stores/shared/deadlines.ts'
import { Draft, type DraftSettings } from './draft.ts'
import { endSession } from './commit/destroy.ts'
import type { GuardedStore } from './backend/guarded-store.ts'
import { createId } from './id.ts'
import { setMaxAge } from './expiry.ts'
import type { Loader } from './loader.ts'
import type { SessionState } from './state.ts'
import type { Committed, SessionOperations } from './session.ts'
import type { ManagerSettings } from './settings.ts'
import { OperationQueue } from './operation-queue.ts'

const noDocument = Document.empty({ version: '', createdAt: 0, attributes: new Map() })

/** What sessions ask their manager for. */
export class Operations implements SessionOperations {
  readonly #settings: ManagerSettings
  readonly #store: GuardedStore
  readonly #loader: Loader
  readonly #queue: OperationQueue
  readonly #committer: Committer
  readonly #draftSettings: DraftSettings
  readonly #stored: () => void

  /** @param stored told when something is stored, which will expire */
  constructor(settings: ManagerSettings, store: GuardedStore, loader: Loader, stored: () => void) {
    this.#settings = settings
    this.#store = store
    this.#loader = loader
    this.#queue = new OperationQueue(settings, store.calls)
    this.#committer = new Committer(settings, store)
    this.#draftSettings = {
      codec: new ValueCodec(settings.registry, settings.limits),
      limits: settings.limits,
      schema: settings.schema,
      decodeFailed: (error) => settings.events.emit({ type: 'decode-failed', scope: 'key', error }),
      heard: () => settings.events.heard,
    }
    this.#stored = stored
  }

  /** What changes a session, upon what is stored of it. */
  draft(document: Document = noDocument): Draft {
    return new Draft(document, this.#draftSettings)
  }

  /** Resolves when no commit is under way; that is by the last one's deadline. */
  over(): Promise<void> {
    return this.#queue.over()
  }

  id(state: SessionState): string {
    return state.nextId ?? (state.id ??= createId(this.#settings.idPrefix))
  }

  expiresAt(state: SessionState): number {
    return Math.min(state.entry?.expiresAt ?? Infinity, this.#committer.expiresAt(state))
  }

  setMaxAge(state: SessionState, maxAge: number | undefined): void {
    setMaxAge(state, maxAge, this.#settings)
  }

  regenerate(state: SessionState): void {
    if (state.status === 'new' && state.unsettled === undefined) state.id = undefined
    else state.nextId ??= createId(this.#settings.idPrefix)
  }

  async commit(state: SessionState): Promise<Committed> {
    // What has nothing to store takes no step, and waits for none.
    const outcome = this.#committer.isIdle(state)
      ? 'ok'
      : await this.#queue.run(state, () => this.#committer.commit(state))
    if (state.status === 'stored') this.#stored()
    if (outcome === 'ok') state.answer?.tell()
    return outcome
  }

  async claim(state: SessionState, key: string): Promise<unknown> {
    const value = await this.#queue.run(state, () => this.#committer.claim(state, key))
    state.answer?.tell()
    return value
  }

  async destroy(state: SessionState): Promise<void> {
    await this.#queue.run(state, () => this.#end(state))
    state.answer?.tell()
  }

  async #end(state: SessionState): Promise<void> {
    const { absoluteTimeout, events, now } = this.#settings
    const isStored = state.status === 'stored' || state.unsettled !== undefined
    // A logout ends what the visitor holds, even where only another version of the program may be able to read it.
    const key = isStored ? state.key : this.#loader.unread.get(state.openOptions)
    if (key !== undefined) {
      const until = state.createdAt + absoluteTimeout
      await endSession(this.#store, key, state.entry, state.deadline, until)
      events.emit({ type: 'destroyed' })
      state.ended = true
    }
    state.forget()
    state.createdAt = now()
    state.draft = this.draft()
    state.deadline = noDeadline
  }
}
