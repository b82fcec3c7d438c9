import type { ParameterizedContext } from 'koa'
import type { SessionOptions } from '../session/options.ts'

/** What is special about the request that a session is opened for. */
export interface OpenOptions {
  /** It does not extend the session's life: nobody is there, a page polls or a browser prefetches. Default `false`. */
  readonly passive?: boolean
  /** The answer may never be seen by anybody, so `take` leaves messages where they are. Default `false`. */
  readonly unseen?: boolean
  /** Whether a visitor who has no session may have one. It is asked once. Default: everybody may. */
  readonly mayCreate?: (() => boolean | Promise<boolean>) | undefined
}

type Hooks = Pick<SessionOptions, 'passive' | 'mayCreate'>

/** A request of Koa's, as options: asked when it matters, and once. */
export class RequestFacts implements OpenOptions {
  readonly #ctx: ParameterizedContext
  readonly mayCreate: (() => boolean | Promise<boolean>) | undefined
  readonly #isPassive: (ctx: ParameterizedContext) => boolean
  #passive: boolean | undefined

  constructor(ctx: ParameterizedContext, { passive = isPrefetch, mayCreate }: Hooks) {
    this.#ctx = ctx
    this.#isPassive = passive
    this.mayCreate = mayCreate && once(() => mayCreate(ctx))
  }

  get passive(): boolean {
    return (this.#passive ??= this.#isPassive(this.#ctx))
  }

  get unseen(): boolean {
    return this.#ctx.method === 'HEAD' || isPrefetch(this.#ctx)
  }
}

/** Asks for the first time, and then knows the answer. */
function once<T>(ask: () => T): () => T {
  let answer: { readonly value: T } | undefined
  return () => (answer ??= { value: ask() }).value
}

/** A browser that fetches what its user may look at next says so (the Fetch standard's `Sec-Purpose`). */
function isPrefetch({ req }: ParameterizedContext): boolean {
  const purpose = req.headers['sec-purpose']
  return typeof purpose === 'string' && /^prefetch\b/i.test(purpose)
}
