import { createVersion, type Header } from '../codec/document/document.ts'
import { SessionError } from '../errors.ts'
import type { Entry, Written } from '../store.ts'
import { noDeadline, type Deadline } from '../stores/shared/deadlines.ts'
import type { Draft } from './draft.ts'
import type { OpenOptions } from './options.ts'
import type { PendingSignIn } from './owners/sign-in.ts'

/** Whether a commit was stored, or found that another request had ended the session. */
export type Committed = 'ok' | 'gone'

/** What an existing session was opened from. */
export interface Origin {
  readonly id: string | undefined
  readonly key: string
  readonly entry: Entry
  readonly credential: string | undefined
  readonly isRedirected: boolean
  /** The keys of the redirects that led to the record. */
  readonly passedKeys: readonly string[]
}

/** The response that tells the client which credential it must hold. Jobs and tests have none. */
export interface ClientResponse {
  /** Called after each commit and `destroy()`: the client must hold what the session's state says now. */
  update(): void
  /** Whether the client can still be told a new ID. */
  canRotate(): boolean
  /** Whether the client is sent the ID it already holds, so that its cookie lasts longer. */
  repeats(): boolean
  /** Whether the client has closed the connection before the response was sent. */
  isDisconnected(): boolean
}

/** A write whose outcome is unknown, and the entry that it was based on. */
interface UnsettledWrite {
  readonly payload: string
  readonly base: Entry | undefined
}

/** A rotation of unknown outcome: the new record, which holds the request's changes. */
export interface UnsettledMove {
  readonly key: string
  readonly payload: string
  readonly entry: Entry
}

/** The state of one opened session. Fields are read by all; they change only by the methods. */
export type SessionState = Readonly<State>

/** A state of a new session, or of the one described by `origin`. `now` is when it was opened. */
export function createState(
  openOptions: OpenOptions,
  createdAt: number,
  now: number,
  draft: Draft,
  origin?: Origin,
): SessionState {
  return new State(openOptions, createdAt, now, draft, origin)
}

const NONE: readonly string[] = []

/** All fields are initialised in this order, so that V8 gives every state the same hidden class. */
class State {
  /** `new`: nothing is stored. `stored`: {@link entry} is. `gone`: another request ended the session, and it stays ended. */
  status: 'new' | 'stored' | 'gone' = 'new'
  readonly isNew: boolean
  readonly openOptions: OpenOptions
  /** The session ID. A new session gets one when it is first needed. */
  id: string | undefined = undefined
  /** The key that the store files the session under: the hash of the ID. */
  key: string | undefined = undefined
  /** The ID that the next commit moves the session to, after `regenerate()`. */
  nextId: string | undefined = undefined
  /** The stored entry that the draft builds on. */
  entry: Entry | undefined = undefined
  /** What the client must hold, where that is not the ID. */
  credential: string | undefined = undefined
  /** Another request has rotated the ID and told the client; this request must not tell it the old one again. */
  isRedirected = false
  /** The keys that the session had before, as far as this request has come by them. */
  passedKeys: readonly string[] = NONE
  /** The program has read the session's ID, so that it cannot be exchanged for another one. */
  isIdKnown = false
  /** When the session was last known to be stored, in ms since the epoch. */
  knownAt: number
  createdAt: number
  draft: Draft
  /** How often changes of this session object were sent to the store. */
  tries = 0
  /** The operation under way on this session object; the next one waits for it. */
  pending: Promise<unknown> | undefined = undefined
  /** When the operation under way must be over. */
  deadline: Deadline = noDeadline
  /** Settled before anything else is written. */
  unsettled: UnsettledWrite | undefined = undefined
  /** A rotation whose outcome is unknown: settled before anything else is written. */
  unsettledMove: UnsettledMove | undefined = undefined
  /** A sign-in that the next commit carries out. */
  signIn: PendingSignIn | undefined = undefined
  /** Whether this request has signed in from a device that the owner's record did not know. */
  isNewDevice: boolean | undefined = undefined
  /** Whether the owner's record still lists the session; asked for while the request is handled. */
  verification: Promise<boolean> | undefined = undefined
  /** Why the session could not be opened. It is empty and read-only then. */
  failure: unknown = undefined
  /** The request is over: a change would be lost, so it throws. */
  closed = false
  /** This object ended a stored session, so the client should delete its cookie. */
  ended = false
  /** `destroy()` was called, whether or not there was a stored session. */
  isDestroyed = false
  response: ClientResponse | undefined = undefined

  constructor(openOptions: OpenOptions, createdAt: number, knownAt: number, draft: Draft, origin?: Origin) {
    this.openOptions = openOptions
    this.knownAt = knownAt
    this.createdAt = createdAt
    this.draft = draft
    this.isNew = origin === undefined
    if (origin === undefined) return
    this.status = 'stored'
    this.id = origin.id
    this.key = origin.key
    this.entry = origin.entry
    this.credential = origin.credential
    this.isRedirected = origin.isRedirected
    this.passedKeys = origin.passedKeys
    this.isIdKnown = true
  }

  /** The session's public name, which opens nothing. */
  get handle(): string {
    return this.draft.attributes.handle
  }

  /** The key of the stored session. */
  get storedKey(): string {
    if (this.key === undefined) throw new SessionError('ERR_SESSION_STATE', 'the session has no ID yet')
    return this.key
  }

  /** The entry of the stored session. */
  get storedEntry(): Entry {
    if (this.entry === undefined) throw new SessionError('ERR_SESSION_STATE', 'the session is not stored')
    return this.entry
  }

  /** The header of the next payload: a new version, and the attributes kept so far with the changes `own`. */
  nextHeader(own?: ReadonlyMap<string, string | undefined>): Header {
    return {
      version: createVersion(),
      createdAt: this.createdAt,
      attributes: this.draft.attributes.write(own),
    }
  }

  /** Links the response that tells the client about this session. */
  respondBy(response: ClientResponse): void {
    this.response = response
  }

  /** Makes the session empty and read-only, since it could not be opened. */
  failedToOpen(failure: unknown): void {
    this.failure = failure
  }

  /** Refuses further changes: the request is over. */
  close(): void {
    this.closed = true
  }

  /** Gives a session that is not stored its ID and key. */
  assignId(id: string, key?: string): void {
    this.id = id
    this.key = key
  }

  /** Whether the record arrived under its ID is unknown, so a session that is not stored takes another one. */
  forgetId(): void {
    this.id = undefined
    this.key = undefined
  }

  /** The program has read the ID. */
  idRead(): void {
    this.isIdKnown = true
  }

  /** `regenerate()`: the next commit moves the session to `id`. A session that was never stored just gets another ID. */
  regenerate(id: string): void {
    if (this.status !== 'new' || this.unsettled !== undefined) this.nextId ??= id
    else {
      this.id = undefined
      this.isIdKnown = false
    }
  }

  /** `signIn()`: the next commit lists the session in its owner's record. */
  signsIn(signIn: PendingSignIn): void {
    this.signIn = signIn
  }

  /** The owner's record lists the session, and knows now from which device it signed in. */
  listed(isNewDevice: boolean): void {
    this.isNewDevice = isNewDevice
  }

  /** The owner's record lists the session. */
  signedIn(): void {
    this.signIn = undefined
  }

  /** Whether the owner's record lists the session is being asked. */
  verifiedBy(verification: Promise<boolean>): void {
    this.verification = verification
  }

  /** The record lists it. */
  verified(): void {
    this.verification = undefined
  }

  /** The record that was created for a sign-in was taken back. */
  withdrawn(): void {
    this.#forget()
  }

  /** A sign-in to a session that was ended meanwhile begins a new one. */
  beginAnew(now: number): void {
    const { signIn } = this
    this.#forget()
    this.signIn = signIn
    this.createdAt = now
  }

  /** After a failed move to `nextId`: the record may still arrive late, so this ID is not used again. */
  replaceNextId(id: string): void {
    this.nextId = id
  }

  /**
   * Runs an operation on this session object, which must be over by `deadline`; the next one waits for it. A session that is
   * stored afterwards was so at `now`, when the operation began.
   */
  async run<T>(operation: () => Promise<T>, deadline: Deadline, now: number): Promise<T> {
    this.deadline = deadline
    const { entry } = this
    const pending = operation()
    this.pending = pending
    try {
      const result = await pending
      // An operation may also have found nothing to do, and asked for nothing.
      if (this.status === 'stored' && this.entry !== entry) this.knownAt = now
      return result
    } finally {
      if (this.pending === pending) this.pending = undefined
    }
  }

  /** `payload` is stored, and the draft builds on it from now on. */
  committed(payload: string, { entry, credential }: Written): 'ok' {
    this.status = 'stored'
    this.entry = entry
    this.credential = credential ?? this.credential
    this.unsettled = undefined
    this.unsettledMove = undefined
    this.draft.settle(payload)
    return 'ok'
  }

  /** One key was taken out of the stored session; the draft's own changes are still to come. */
  claimed({ entry, credential }: Written): void {
    this.entry = entry
    this.credential = credential
  }

  /** Its changes are being sent to the store. */
  tried(): void {
    this.tries += 1
  }

  /** The outcome of writing `payload` is unknown. */
  unsettle(payload: string, base: Entry | undefined): void {
    this.unsettled = { payload, base }
  }

  /** The unsettled write is known not to be stored. */
  settledAsGone(): void {
    this.unsettled = undefined
  }

  /** The stored entry, which is `base`, lives until `expiresAt`. */
  extended(base: Entry, expiresAt: number): void {
    this.entry = { ...base, expiresAt }
  }

  /** Another request has rotated the ID: the session is stored under `key` now, after it was under `passed`. */
  redirectedTo(key: string, passed: readonly string[]): void {
    this.passedKeys = [...this.passedKeys, ...passed]
    this.key = key
    this.isRedirected = true
  }

  /** A rotation has created a new record. Whether the old one leads there is unknown. */
  unsettleMove(move: UnsettledMove): void {
    this.unsettledMove = move
  }

  /** As {@link movedTo}, but the new ID must not be told: whether the session was ended meanwhile is unknown. */
  movedUntold({ key, payload, entry }: UnsettledMove): void {
    if (this.key !== undefined) this.passedKeys = [...this.passedKeys, this.key]
    this.key = key
    this.entry = entry
    this.isRedirected = true
    this.unsettledMove = undefined
    this.draft.settle(payload)
  }

  /** The draft was rebased onto `newer`. */
  rebasedOnto(newer: Entry): void {
    this.entry = newer
  }

  /** The session was read again, from `key`: nothing of this request's changes is left. */
  reloaded(
    key: string,
    entry: Entry,
    draft: Draft,
    { isRedirected, passedKeys }: Pick<Origin, 'isRedirected' | 'passedKeys'>,
  ): void {
    this.key = key
    this.entry = entry
    this.draft = draft
    this.isRedirected = isRedirected
    this.passedKeys = passedKeys
    this.nextId = undefined
    this.signIn = undefined
  }

  /** The request's changes are dropped. */
  discarded(draft: Draft): void {
    this.draft = draft
    this.nextId = undefined
    this.signIn = undefined
  }

  /** The session is stored under a new ID, and the draft builds on `payload` from now on. */
  movedTo(id: string, key: string, payload: string, { entry, credential }: Written): void {
    this.id = id
    this.key = key
    this.nextId = undefined
    this.entry = entry
    this.credential = credential
    this.isRedirected = false
    this.passedKeys = NONE
    this.unsettledMove = undefined
    this.signIn = undefined
    this.draft.settle(payload)
  }

  /** Another request has ended the session. It stays ended, and the changes are dropped. */
  lost(): 'gone' {
    this.status = 'gone'
    return 'gone'
  }

  /** The stored session was removed because nothing is left in it. What is set from now on begins a new session. */
  emptied(): void {
    this.#forget()
    this.ended = true
  }

  /** `destroy()`: what is set from now on begins a new session. */
  destroyed(wasStored: boolean, now: number, draft: Draft): void {
    this.#forget()
    this.ended ||= wasStored
    this.isDestroyed = true
    this.createdAt = now
    this.draft = draft
    this.deadline = noDeadline
  }

  #forget(): void {
    this.status = 'new'
    this.id = undefined
    this.key = undefined
    this.nextId = undefined
    this.entry = undefined
    this.credential = undefined
    this.isRedirected = false
    this.passedKeys = NONE
    this.isIdKnown = false
    this.unsettled = undefined
    this.unsettledMove = undefined
    this.signIn = undefined
    this.isNewDevice = undefined
    this.verification = undefined
  }
}
