import { noDeadline, type Deadline } from '../stores/shared/deadlines.ts'
import type { Draft } from './draft.ts'
import type { Entry } from '../store.ts'
import type { OpenOptions } from '../koa/request.ts'

/** What the session of an ID was opened from. */
export interface Origin {
  readonly id: string | undefined
  readonly key: string
  readonly entry: Entry
  readonly credential: string | undefined
  readonly isRedirected: boolean
}

/** The response that tells the client what it must hold. Without one nobody is there to be told. */
export interface Answer {
  /** After each commit and `destroy()`: the client is to hold what the session says now. */
  tell(): void
  /** Whether it can still tell the client a new ID. */
  canRotate(): boolean
  /** Whether it tells the client once more the ID that it holds, for its cookie to last. */
  repeats(): boolean
}

/** What the manager keeps of one opened session. A class, so that V8 sees one shape, which it makes and drops cheaply. */
export class SessionState {
  /** `new`: nothing is stored. `stored`: {@link entry} is. `gone`: another request ended it, and it stays ended. */
  status: 'new' | 'stored' | 'gone'
  readonly isNew: boolean
  readonly openOptions: OpenOptions
  /** The session ID; made when it is first needed. */
  id: string | undefined
  /** What the store files it under: the hash of the ID. */
  key: string | undefined
  /** The ID that the next commit moves the session to, after `regenerate()`. */
  nextId: string | undefined
  /** The stored entry that the draft builds on. */
  entry: Entry | undefined
  /** What the client must hold where that is not the ID. */
  credential: string | undefined
  /** The client's ID was renewed by another request, which told it: nothing is to be told by this one. */
  isRedirected: boolean
  createdAt: number
  draft: Draft
  /** The commit under way; the next one waits for it. */
  pending: Promise<unknown> | undefined
  /** By when the opening or the commit under way must be over. */
  deadline: Deadline
  /** A write whose outcome is unknown, and what it was based upon: it is settled before anything else is written. */
  unsettled: { readonly payload: string; readonly base: Entry | undefined } | undefined
  /** Why the session could not be opened: it is empty, and cannot be written. */
  failure: unknown
  /** The request is over: a change from now on would be lost, so it throws. */
  closed: boolean
  /** This object ended a stored session, so the client should forget its cookie. */
  ended: boolean
  answer: Answer | undefined

  constructor(openOptions: OpenOptions, createdAt: number, draft: Draft, origin?: Origin) {
    this.status = origin === undefined ? 'new' : 'stored'
    this.isNew = origin === undefined
    this.openOptions = openOptions
    this.id = origin?.id
    this.key = origin?.key
    this.nextId = undefined
    this.entry = origin?.entry
    this.credential = origin?.credential
    this.isRedirected = origin?.isRedirected ?? false
    this.createdAt = createdAt
    this.draft = draft
    this.pending = undefined
    this.deadline = noDeadline
    this.unsettled = undefined
    this.failure = undefined
    this.closed = false
    this.ended = false
    this.answer = undefined
  }

  /** What was stored is over; what is set from now on begins another session. */
  forget(): void {
    this.status = 'new'
    this.id = undefined
    this.key = undefined
    this.nextId = undefined
    this.entry = undefined
    this.credential = undefined
    this.isRedirected = false
    this.unsettled = undefined
  }
}
