import { CircuitBreaker, type BreakerState, type Pass } from './circuit-breaker.ts'
import { Deadlines, msLeft, type Deadline } from '../../stores/shared/deadlines.ts'
import { SessionError } from '../../errors.ts'
import type { StoreVerb } from '../events.ts'
import type { ManagerSettings } from '../settings.ts'

/** Let in while the store counts as down and while too many wait: a logout gets its try, and so does `ready()`. */
const always: ReadonlySet<StoreVerb> = new Set(['destroy', 'open', 'close'])

/** Errors of calls that never reached the store: nothing was written, and asking again would be refused as well. */
const refusals = new WeakSet<Error>()

/** Whether the error says that the store was not asked at all. */
export function isRefusal(error: unknown): boolean {
  return error instanceof Error && refusals.has(error)
}

/**
 * The calls to one store: each ends by its deadline, a bounded number waits at a time, a store that is down is left alone
 * for a while, and after `close()` no new work begins. Failures are reported and wrapped in a `SessionError`.
 */
export class StoreCalls {
  readonly #settings: ManagerSettings
  readonly #deadlines = new Deadlines()
  readonly #breaker = new CircuitBreaker()
  readonly #name: string
  #pending = 0
  #closedAt: number | undefined

  constructor(settings: ManagerSettings) {
    this.#settings = settings
    this.#name = settings.store.traits.name
  }

  /** How many wait for the store now. */
  get pending(): number {
    return this.#pending
  }

  get breaker(): BreakerState {
    return this.#breaker.state
  }

  /** Refuses whatever begins from now on; what has begun may finish. */
  close(): void {
    this.#closedAt ??= performance.now()
  }

  /**
   * Runs a verb of the store.
   *
   * @throws SessionError `ERR_SESSION_STORE` if it fails, is refused, or is not done by the deadline
   */
  async run<T>(verb: StoreVerb, call: () => Promise<T>, deadline?: Deadline, isShared = false): Promise<T> {
    this.#check(verb, deadline, isShared)
    const breaker = this.#breaker
    // Only what ends by a deadline can tell in time whether the store is back.
    const mayCall =
      breaker.state === 'closed' || always.has(verb) || (deadline !== undefined && breaker.probe())
    if (!mayCall) throw this.#down(verb)
    const { pass } = breaker
    this.#pending += 1
    try {
      const answer = call()
      const result = await (deadline === undefined
        ? answer
        : this.#deadlines.within(deadline, answer, () => this.#late(verb, deadline)))
      this.#worked()
      return result
    } catch (cause) {
      const error =
        cause instanceof SessionError
          ? cause
          : new SessionError('ERR_SESSION_STORE', `${this.#name}: ${verb} failed`, { cause })
      if (error.code === 'ERR_SESSION_STORE') this.#failed(verb, error, pass)
      else this.#worked() // it knew what is wrong with this session
      throw error
    } finally {
      this.#pending -= 1
    }
  }

  /** Waits for a load that others wait for too: counted among what is pending, as a call of one's own would be. */
  async join<T>(verb: StoreVerb, loaded: Promise<T>, deadline: Deadline): Promise<T> {
    this.#check(verb, deadline, false)
    if (this.#breaker.state !== 'closed') throw this.#down(verb)
    return this.#wait(verb, loaded, deadline)
  }

  /** Asks the store whatever has happened so far. If it answers it is up; if not, that is the caller's to tell. */
  async probe<T>(call: () => Promise<T>, deadline: Deadline): Promise<T> {
    if (this.#isClosedTo(deadline)) throw refusal(closed())
    const result = await this.#wait('read', call(), deadline)
    this.#worked()
    return result
  }

  /** Waits for those who are first, until the deadline. */
  queue<T>(before: Promise<T>, deadline: Deadline): Promise<T> {
    return this.#deadlines.within(deadline, before, () => refusal(this.#late('commit', deadline)))
  }

  async #wait<T>(verb: StoreVerb, promise: Promise<T>, deadline: Deadline | undefined): Promise<T> {
    this.#pending += 1
    try {
      if (deadline === undefined) return await promise
      return await this.#deadlines.within(deadline, promise, () => this.#late(verb, deadline))
    } finally {
      this.#pending -= 1
    }
  }

  /** Whether a call may wait for the store. */
  #check(verb: StoreVerb, deadline: Deadline | undefined, isShared: boolean): void {
    const { events, maxPending } = this.#settings
    if (verb !== 'close' && this.#isClosedTo(deadline)) throw refusal(closed())
    if (deadline !== undefined && msLeft(deadline) <= 0) throw refusal(this.#late(verb, deadline))
    if (this.#pending < maxPending || isShared || always.has(verb)) return
    events.emit({ type: 'store-refused', verb, reason: 'pending' })
    throw this.#refused(`${this.#pending} calls wait for the store, and maxPending allows no more`)
  }

  #isClosedTo(deadline: Deadline | undefined): boolean {
    return this.#closedAt !== undefined && (deadline === undefined || deadline.startedAt >= this.#closedAt)
  }

  #down(verb: StoreVerb): SessionError {
    this.#settings.events.emit({ type: 'store-refused', verb, reason: 'down' })
    return this.#refused('the store failed several times in a row, so it is not asked for a moment')
  }

  #refused(text: string): SessionError {
    return refusal(new SessionError('ERR_SESSION_STORE', `${this.#name}: ${text}; try again in a second`))
  }

  #worked(): void {
    const downMs = this.#breaker.succeeded()
    if (downMs !== undefined) this.#settings.events.emit({ type: 'store-up', downMs })
  }

  #failed(verb: StoreVerb, error: SessionError, pass: Pass): void {
    const { events } = this.#settings
    events.emit({ type: 'store-failed', verb, error })
    if (this.#breaker.failed(pass)) events.emit({ type: 'store-down' })
  }

  #late(what: StoreVerb | 'commit', { setting, ms }: Deadline): SessionError {
    const text = `${this.#name}: ${what} was not done within the ${ms} ms of ${setting}`
    return new SessionError('ERR_SESSION_STORE', text)
  }
}

function refusal(error: SessionError): SessionError {
  refusals.add(error)
  return error
}

function closed(): SessionError {
  const text =
    'the session manager is closed: close() the server first, and the manager when its requests are done'
  return new SessionError('ERR_SESSION_STATE', text, { status: 503 })
}
