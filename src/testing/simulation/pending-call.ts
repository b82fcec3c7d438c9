import type { Answer, Call } from './gated-store.ts'
import type { Log } from './replay-model.ts'
import type { Doing, Visit } from './actor.ts'

/** A request that is about to begin, or one of its verbs that waits to be let through. */
export class Held {
  readonly visit: Visit
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
  readonly #act: () => Promise<Answer>
  readonly #settle: { readonly resolve: (answer: Answer) => void; readonly reject: (error: unknown) => void }

  constructor(
    visit: Visit,
    call: Call | undefined,
    act: () => Promise<Answer>,
    settle: { readonly resolve: (answer: Answer) => void; readonly reject: (error: unknown) => void },
  ) {
    this.visit = visit
    this.call = call
    const { log, claiming } = visit.belief.originOf(call?.payload, visit.claiming)
    this.log = log
    this.doing = visit.doing
    this.claiming = claiming
    if (call !== undefined && visit.belief.prepares(call)) visit.successor = call.key
    this.successor = visit.successor
    this.#act = act
    this.#settle = settle
  }

  async act(): Promise<Answer> {
    return this.#act()
  }

  answer(answer: Answer): void {
    if (!this.orphaned) this.#settle.resolve(answer)
  }

  fail(error: unknown): void {
    if (!this.orphaned) this.#settle.reject(error)
    this.orphaned = true
  }
}
