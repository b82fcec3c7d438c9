import { AsyncLocalStorage } from 'node:async_hooks'
import type { Store } from '../../store.ts'
import { InterceptedStore } from './intercepted-store.ts'
import type { Log } from './replay-model.ts'
import type { Doing, RequestView } from './request-view.ts'
import type { Answer, Call } from './store-model.ts'

/**
 * The request that runs: the requests of one process share a store, and each call must be attributed to one of them. It is
 * emptied when the request is over, since timers of the library keep the context in which they were set.
 */
export const current: AsyncLocalStorage<{ view: RequestView | undefined }> = new AsyncLocalStorage()

interface Settle {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

/** A call of a request that waits until the simulation lets it through. */
export class PendingCall {
  /** The store of the process that made it. */
  readonly store: Store
  readonly view: RequestView
  readonly call: Call
  /** What the request had done to its session, and what it was doing, when it made the call. */
  readonly log: Log
  readonly doing: Doing
  readonly claiming: string | undefined
  readonly moving: boolean
  /** It believes that its session is stored, under this key. */
  readonly believed: string | undefined
  /** The request was told that the call failed, so it no longer waits for the answer. */
  orphaned = false
  /** The request will not get the answer. */
  lost = false
  readonly #perform: () => Promise<Answer>
  readonly #settle: Settle

  constructor(store: Store, view: RequestView, call: Call, perform: () => Promise<Answer>, settle: Settle) {
    this.store = store
    this.view = view
    this.call = call
    const { log, claiming } = view.originOf(call)
    this.log = log
    this.doing = view.doing
    this.claiming = claiming
    this.moving = view.moving
    this.believed = view.key
    view.calls += 1
    this.#perform = perform
    this.#settle = settle
  }

  get isAnswered(): boolean {
    return !this.orphaned && !this.lost
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

/** The store as the manager of one process sees it: each call waits until the simulation lets it through. */
export class GatedStore extends InterceptedStore {
  readonly #enqueue: (call: PendingCall) => void

  constructor(store: Store, enqueue: (call: PendingCall) => void) {
    super(store)
    this.#enqueue = enqueue
  }

  override async intercept<A extends Answer>(call: Call, perform: () => Promise<A>): Promise<A> {
    const view = current.getStore()?.view
    if (view === undefined) throw new Error(`the verb ${call.verb} was called outside of any request`)
    return new Promise<A>((resolve, reject) => {
      // The answer is what `perform` resolves with, an A.
      const settle = { resolve: resolve as (answer: Answer) => void, reject }
      this.#enqueue(new PendingCall(this, view, call, perform, settle))
    })
  }
}
