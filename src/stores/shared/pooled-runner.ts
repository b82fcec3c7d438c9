import { setTimeout as sleep } from 'node:timers/promises'
import { SessionError } from '../../errors.ts'
import { Deadlines, startDeadline, type Deadline } from './deadlines.ts'
import { closedError, isMistake, lateError, mistakeError, storeError } from './errors.ts'

/** What a {@link PooledRunner} needs to know of a database and its driver. `P` is a pool, and `C` one of its connections. */
export interface PoolDriver<P, C> {
  /** The store's name in error messages. */
  readonly name: string
  /** How many verbs may wait for a connection; further ones are refused at once. */
  readonly maxWaiting: number
  /** Makes a pool, or returns the application's. It is called again after it failed. */
  openPool(): Promise<P>
  /** Takes a connection out of the pool. */
  acquire(pool: P): Promise<C>
  /** What stands for the connection itself, if `acquire` wraps it anew each time. */
  identityOf(connection: C): object
  /** Gives a connection back. A broken one is closed. */
  release(connection: C, isBroken: boolean): void
  /** Closes the pool, unless it is the application's. */
  closePool(pool: P): Promise<void>
  /** Closes at once what `closePool` could not close in time. */
  destroySockets(): void
  readonly errors: PoolErrors
}

/** What the errors of a database and its driver mean. */
export interface PoolErrors {
  /** Whether the server says that it did not apply the statement, so that any verb may be repeated. */
  wasNotApplied(error: unknown): boolean
  /**
   * Whether a connection was refused for a reason that may be over in a moment: the server has too many of them, or starts or
   * stops. Other connections may work meanwhile.
   */
  wasRefusedConnection(error: unknown): boolean
  /** Whether the connection was lost, so that the outcome of the statement is unknown. */
  wasLost(error: unknown): boolean
  /** Whether the server refuses writes, as one does that became a replica: a new connection may find the primary. */
  isReadOnly(error: unknown): boolean
  /** Whether the connection must not be used again. */
  breaksConnection(error: unknown): boolean
  /** Whether the table may have changed, so that the next verb must look at it again. */
  outdatesTable(error: unknown): boolean
  /** The `SessionError` for a failure of a verb. */
  errorOf(verb: string, error: unknown): Error
}

/** How often a statement is tried that the server did not apply. */
const MAX_TRIES = 6

/** After a connection was refused, so many ms pass before one more is asked for. */
const PROBE_PAUSE = 100

/** How many lost connections one verb replaces: all connections of a pool may have died unnoticed, behind a firewall say. */
const MAX_LOST = 32

/** One call of a verb. */
interface Call<C> {
  readonly verb: string
  readonly isRepeatable: boolean
  /** Whether its caller has been answered, be it because of the deadline. */
  isOver: boolean
  /** Whether the latest try had a connection, so that something may have been sent. */
  wasSent: boolean
  /** Whether the latest try had an old connection to a server that refuses writes now. */
  wasMisled: boolean
  /** The connection that is in use for it. */
  connection: C | undefined
}

/**
 * Runs the verbs of a store on the connections of a pool: each one within the timeout, and again where that is safe. A
 * statement is repeated if the server did not apply it, and a repeatable verb if its connection was lost. While the server
 * refuses further connections, the verbs take turns on those that there are.
 *
 * When the deadline passes, the connection is closed, since the answer that may still come would be taken for the answer to
 * the next statement.
 */
export class PooledRunner<P, C, T> {
  readonly #driver: PoolDriver<P, C>
  readonly #timeout: number
  readonly #findTable: (connection: C) => Promise<T>
  readonly #deadlines = new Deadlines()
  #pool: Promise<P> | undefined
  #table: T | undefined
  #isOutdated = false
  #opening: Promise<T> | undefined
  #proving: Promise<void> | undefined
  #waiting = 0
  /** How many connections of the pool serve verbs of this store now. */
  #inUse = 0
  /** The connections that have served a verb. */
  readonly #known = new WeakSet<object>()
  /** How many verbs ask the pool for a connection now. */
  #taking = 0
  /** How many connections the server has allowed, once it has refused one. */
  #capacity = Infinity
  #probeAt = 0
  /** Wakes the verbs that wait for a connection of another verb, in their order. */
  readonly #wakes = new Set<() => void>()
  #underWay = 0
  #onIdle: (() => void) | undefined
  #closing: Promise<void> | undefined

  /** @param findTable finds the table, or creates it; it is called again after an error that outdates the table */
  constructor(driver: PoolDriver<P, C>, timeout: number, findTable: (connection: C) => Promise<T>) {
    this.#driver = driver
    this.#timeout = timeout
    this.#findTable = findTable
  }

  /** The table, once it was found. */
  get table(): T | undefined {
    return this.#table
  }

  /**
   * Connects, finds or creates the table, and runs `prove`, which rejects if a verb would be refused. Calls at the same time share
   * one attempt.
   */
  async open(prove: (connection: C, table: T) => Promise<void>): Promise<void> {
    if (this.#closing !== undefined) throw closedError(this.#driver.name, 'open')
    this.#proving ??= this.run('open', true, prove).finally(() => {
      this.#proving = undefined
    })
    return this.#proving
  }

  /** The result of `work`. `isRepeatable` says that `work` may take effect twice without harm. */
  async run<R>(
    verb: string,
    isRepeatable: boolean,
    work: (connection: C, table: T) => Promise<R>,
  ): Promise<R> {
    if (this.#closing !== undefined) throw closedError(this.#driver.name, verb)
    const deadline = startDeadline('timeout', this.#timeout)
    this.#underWay += 1
    try {
      const table = (this.#isOutdated ? undefined : this.#table) ?? (await this.#opened())
      return await this.#call(verb, isRepeatable, deadline, async (connection) => work(connection, table))
    } catch (error) {
      if (this.#driver.errors.outdatesTable(error)) this.#isOutdated = true
      throw error
    } finally {
      this.#leave()
    }
  }

  /** Refuses every verb from now on, waits for those under way, and closes the pool. Takes no longer than the timeout. */
  async close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const deadline = startDeadline('timeout', this.#timeout)
    const late = (): Error => lateError(this.#driver.name, 'close', deadline)
    try {
      await this.#deadlines.within(deadline, this.#closePool(), late)
    } catch {
      // Whatever is still open ends with the sockets.
    }
    this.#driver.destroySockets()
  }

  async #closePool(): Promise<void> {
    if (this.#underWay > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve))
    const pool = await this.#pool?.catch(() => undefined)
    if (pool !== undefined) await this.#driver.closePool(pool)
  }

  #leave(): void {
    this.#underWay -= 1
    if (this.#underWay === 0) this.#onIdle?.()
  }

  /** The table. Concurrent verbs share one attempt to find it; after a failure the next verb makes a new one. */
  async #opened(): Promise<T> {
    if (this.#table !== undefined && !this.#isOutdated) return this.#table
    this.#opening ??= this.#openTable().finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  async #openTable(): Promise<T> {
    const deadline = startDeadline('timeout', this.#timeout)
    this.#table = await this.#call('open', true, deadline, this.#findTable)
    this.#isOutdated = false
    return this.#table
  }

  async #call<R>(
    verb: string,
    isRepeatable: boolean,
    deadline: Deadline,
    work: (connection: C) => Promise<R>,
  ): Promise<R> {
    const call: Call<C> = {
      verb,
      isRepeatable,
      isOver: false,
      wasSent: false,
      wasMisled: false,
      connection: undefined,
    }
    const late = (): Error => lateError(this.#driver.name, verb, deadline)
    try {
      return await this.#deadlines.within(deadline, this.#persist(call, work), late)
    } catch (error) {
      if (error instanceof SessionError || !isMistake(error)) throw this.#driver.errors.errorOf(verb, error)
      throw mistakeError(this.#driver.name, `${verb} failed`, error)
    } finally {
      call.isOver = true
      if (call.connection !== undefined) this.#release(call.connection, true)
    }
  }

  async #persist<R>(call: Call<C>, work: (connection: C) => Promise<R>): Promise<R> {
    const { errors } = this.#driver
    let [tries, lost] = [0, 0]
    for (;;) {
      try {
        return await this.#attempt(call, work)
      } catch (error) {
        if (call.isOver || isMistake(error)) throw error
        const isSafe = errors.wasNotApplied(error) || (!call.wasSent && errors.wasRefusedConnection(error))
        if (isSafe && (tries += 1) < MAX_TRIES) {
          await sleep(Math.random() * 10 * 2 ** tries)
        } else if (call.isRepeatable && call.wasSent && errors.wasLost(error) && (lost += 1) <= MAX_LOST) {
          // If one connection is lost others may be too, and the pool is about to notice it.
          if (lost === 1) await sleep(10 + Math.random() * 20)
        } else if (!call.wasMisled || (lost += 1) > MAX_LOST) throw error
      }
    }
  }

  async #attempt<R>(call: Call<C>, work: (connection: C) => Promise<R>): Promise<R> {
    call.wasSent = false
    call.wasMisled = false
    const connection = await this.#acquire(call)
    if (call.isOver) {
      this.#release(connection, false)
      throw storeError(this.#driver.name, 'a connection came after the deadline')
    }
    const identity = this.#driver.identityOf(connection)
    const isOld = this.#known.has(identity)
    this.#known.add(identity)
    call.connection = connection
    call.wasSent = true
    let isBroken = false
    try {
      return await work(connection)
    } catch (error) {
      const { errors } = this.#driver
      // A new connection may lead to another server; if that one refuses too, it is the answer.
      call.wasMisled = isOld && errors.isReadOnly(error)
      isBroken = call.wasMisled || isMistake(error) || errors.breaksConnection(error)
      throw error
    } finally {
      // After the deadline it has been released already.
      if (!call.isOver) {
        call.connection = undefined
        this.#release(connection, isBroken)
      }
    }
  }

  async #acquire(call: Call<C>): Promise<C> {
    const { name, maxWaiting } = this.#driver
    if (this.#waiting >= maxWaiting) {
      throw storeError(name, `${call.verb} failed: ${maxWaiting} calls wait for a connection already`)
    }
    this.#waiting += 1
    try {
      this.#pool ??= this.#driver.openPool().catch((error: unknown) => {
        this.#pool = undefined
        throw error
      })
      return await this.#take(call, await this.#pool)
    } finally {
      this.#waiting -= 1
    }
  }

  /** A connection of the pool. If the server refuses a new one, it is one that another verb of this store gives back. */
  async #take(call: Call<C>, pool: P): Promise<C> {
    const { errors } = this.#driver
    if (this.#wakes.size > 0) await this.#nextRelease()
    for (;;) {
      while (!call.isOver && !this.#mayTake()) await this.#nextRelease()
      this.#taking += 1
      try {
        const connection = await this.#driver.acquire(pool)
        this.#inUse += 1
        if (this.#inUse > this.#capacity) {
          this.#capacity = this.#inUse
          this.#probeAt = 0
        }
        return connection
      } catch (error) {
        if (call.isOver || this.#inUse === 0 || !errors.wasRefusedConnection(error)) throw error
        this.#capacity = this.#inUse
        this.#probeAt = performance.now() + PROBE_PAUSE
      } finally {
        this.#taking -= 1
      }
    }
  }

  /** Whether the pool is likely to have a connection. While the server refuses new ones, one verb now and then tries. */
  #mayTake(): boolean {
    if (this.#inUse + this.#taking < this.#capacity) return true
    const now = performance.now()
    if (now < this.#probeAt) return false
    this.#probeAt = now + PROBE_PAUSE
    return true
  }

  /** Resolves when it is this verb's turn to take a connection that was given back, and after a while in any case. */
  async #nextRelease(): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer)
        this.#wakes.delete(wake)
        resolve()
      }
      const timer = setTimeout(wake, PROBE_PAUSE)
      this.#wakes.add(wake)
    })
  }

  #release(connection: C, isBroken: boolean): void {
    this.#inUse -= 1
    this.#driver.release(connection, isBroken)
    const [wake] = this.#wakes
    wake?.()
  }
}
