import { createBreaker, type BreakerState, type Pass } from './circuit-breaker.ts'
import { Deadlines, msLeft, type Deadline } from '../../stores/shared/deadlines.ts'
import { isMistake, mistakeError } from '../../stores/shared/errors.ts'
import { SessionError } from '../../errors.ts'
import { isAnswer } from '../../store.ts'
import type { Events, StoreVerb } from '../events.ts'

/** Allowed while the circuit is open and while too many calls wait: a logout gets its attempt, and so does `ready()`. */
const always: ReadonlySet<StoreVerb> = new Set(['destroy', 'open', 'close'])

/** Errors of calls that never reached the store: nothing was written, and another attempt would be refused as well. */
const refusals = new WeakSet<Error>()

/** Whether the call was refused before it reached the store. */
export function isRefusal(error: unknown): boolean {
  return error instanceof Error && refusals.has(error)
}

/** What the calls need of the manager's settings; `store` is the one that is called. */
export interface StoreCallsSettings {
  readonly events: Events
  readonly maxPending: number
  readonly store: { readonly traits: { readonly name: string } }
}

/**
 * The calls to one store: each ends by its deadline, a bounded number waits at a time (bulkhead), a circuit breaker refuses
 * them while the store is down, and after `close()` no new work begins. Failures are reported as events and wrapped in a
 * `SessionError`. Only silence counts as down: a refusal is an answer of the store.
 */
export class StoreCalls {
  readonly #settings: StoreCallsSettings
  readonly #deadlines = new Deadlines()
  readonly #breaker = createBreaker()
  readonly #name: string
  #pending = 0
  #closedAt: number | undefined

  constructor(settings: StoreCallsSettings) {
    this.#settings = settings
    this.#name = settings.store.traits.name
  }

  /** How many calls wait for the store now. */
  get pending(): number {
    return this.#pending
  }

  get breaker(): BreakerState {
    return this.#breaker.state
  }

  /** Refuses operations that begin from now on; those under way may finish. */
  close(): void {
    this.#closedAt ??= performance.now()
  }

  /**
   * Calls a verb of the store.
   *
   * @throws SessionError `ERR_SESSION_STORE` if it fails, is refused, or is not done by the deadline
   */
  async run<T>(verb: StoreVerb, call: () => Promise<T>, deadline?: Deadline, isShared = false): Promise<T> {
    this.#check(verb, deadline, isShared)
    const breaker = this.#breaker
    // Only a call with a deadline may probe whether the store is back.
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
      if (breaker.failures > 0 || breaker.state !== 'closed') this.#worked()
      return result
    } catch (cause) {
      const error = this.#errorOf(verb, cause)
      if (error.code === 'ERR_SESSION_STORE') this.#failed(verb, error, pass)
      else this.#worked() // it answered: something is wrong with this session
      throw error
    } finally {
      this.#pending -= 1
    }
  }

  /** Waits for a read that other requests wait for too. It counts as pending, like a call of its own. */
  async join<T>(verb: StoreVerb, loaded: Promise<T>, deadline: Deadline): Promise<T> {
    this.#check(verb, deadline, false)
    if (this.#breaker.state !== 'closed') throw this.#down(verb)
    return this.#wait(verb, loaded, deadline)
  }

  /** Calls the store even if the circuit is open. An answer closes the circuit; a failure is left to the caller to report. */
  async probe<T>(call: () => Promise<T>, deadline: Deadline): Promise<T> {
    if (this.#isClosedTo(deadline)) throw refusal(closed())
    try {
      const result = await this.#wait('read', call(), deadline)
      this.#worked()
      return result
    } catch (error) {
      if (isAnswer(error)) this.#worked()
      throw error
    }
  }

  /** Waits for `before`, at most until the deadline. */
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

  /** Throws if a call may not wait for the store now. */
  #check(verb: StoreVerb, deadline: Deadline | undefined, isShared: boolean): void {
    const { events, maxPending } = this.#settings
    if (this.#closedAt !== undefined && verb !== 'close' && this.#isClosedTo(deadline))
      throw refusal(closed())
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
    return this.#refused('circuit breaker open after several consecutive failures')
  }

  #refused(text: string): SessionError {
    return refusal(new SessionError('ERR_SESSION_STORE', `${this.#name}: ${text}; try again in a second`))
  }

  #worked(): void {
    const downMs = this.#breaker.succeeded()
    if (downMs !== undefined) this.#settings.events.emit({ type: 'store-up', downMs })
  }

  #errorOf(verb: StoreVerb, cause: unknown): SessionError {
    if (cause instanceof SessionError) return cause
    const answered = isAnswer(cause)
    if (!answered && isMistake(cause)) return mistakeError(this.#name, `${verb} failed`, cause)
    return new SessionError('ERR_SESSION_STORE', `${this.#name}: ${verb} failed`, { cause, answered })
  }

  #failed(verb: StoreVerb, error: SessionError, pass: Pass): void {
    const { events } = this.#settings
    events.emit({ type: 'store-failed', verb, error })
    if (error.answered) this.#worked()
    // It tells nothing about the backend. A probe must end all the same.
    else if (isMistake(error) && this.#breaker.state !== 'probing') return
    else if (this.#breaker.failed(pass)) events.emit({ type: 'store-down' })
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
