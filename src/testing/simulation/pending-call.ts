import type { Answer, Call } from './gated-store.ts'
import type { Log } from './replay-model.ts'
import type { Doing, Actor } from './actor.ts'

/** A request that is about to begin, or one of its verbs that waits to be let through. */
export class PendingCall {
  readonly actor: Actor
  /** Absent when the request has yet to begin. */
  readonly call: Call | undefined
  /** What the request had done to its session when it asked, and what it was about. */
  readonly log: Log
  readonly doing: Doing
  /** The key that it claims. */
  readonly claiming: string | undefined
  /** Where the record lies, or is to lie, that a regeneration prepares. */
  readonly successor: string | undefined
  /** Nobody waits for the answer any more: the request was told that the store had failed. */
  orphaned = false
  readonly #perform: () => Promise<Answer>
  readonly #settle: { readonly resolve: (answer: Answer) => void; readonly reject: (error: unknown) => void }

  constructor(
    actor: Actor,
    call: Call | undefined,
    perform: () => Promise<Answer>,
    settle: { readonly resolve: (answer: Answer) => void; readonly reject: (error: unknown) => void },
  ) {
    this.actor = actor
    this.call = call
    const { log, claiming } = actor.view.originOf(call?.payload, actor.claiming)
    this.log = log
    this.doing = actor.doing
    this.claiming = claiming
    if (call !== undefined && actor.view.prepares(call)) actor.successor = call.key
    this.successor = actor.successor
    this.#perform = perform
    this.#settle = settle
  }

  async perform(): Promise<Answer> {
    return this.#perform()
  }

  answer(answer: Answer): void {
    if (!this.orphaned) this.#settle.resolve(answer)
  }

  fail(error: unknown): void {
    if (!this.orphaned) this.#settle.reject(error)
    this.orphaned = true
  }
}
