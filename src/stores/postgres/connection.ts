import { setTimeout as pause } from 'node:timers/promises'
import type { Pool, PoolClient, QueryArrayConfig } from 'pg'
import { SessionError } from '../../errors.ts'
import { withDeadline } from '../shared/deadline.ts'
import { makePool, type PoolOptions } from './pool.ts'
import { isLost, isRolledBack, leavesConnectionUsable, postgresError } from './errors.ts'

/** SQL, and the name under which a connection may keep its plan. */
export interface Statement {
  readonly text: string
  readonly name?: string
}

/** What a statement brought: its rows as the server writes them, and how many rows it was about. */
export interface Answer {
  readonly rows: readonly (readonly (string | null)[])[]
  readonly count: number
}

/** Sends a statement on a borrowed connection. */
export type Ask = (statement: Statement, values?: readonly (string | number | Buffer)[]) => Promise<Answer>

/** How a link is made: of a pool that is there already, or of where to connect to. */
export interface ConnectionOptions extends PoolOptions {
  readonly pool?: Pool | undefined
  readonly prepare: boolean
}

/** So many callers at most wait for a connection; beyond that, waiting would only hold memory. */
const MAX_WAITING = 10_000

/** So often a statement is tried that the server rolled back for the sake of another one. */
const TRIES = 5

/** So many connections of a pool may have died unnoticed, as behind a firewall, before one is had that lives. */
const MAX_LOST = 32

/** Whatever parsers an application has set for its own types, here a value is the text that the server wrote. */
const AS_TEXT = { getTypeParser: (): StringConstructor => String }

/** One caller's use of a connection; it is over when the caller has been answered, or has waited long enough. */
interface Errand {
  readonly verb: string
  readonly repeatable: boolean
  client?: PoolClient
  isOver: boolean
  mayTryAgain: boolean
}

/** Connections to one server, lent to one verb at a time, and never for longer than the deadline. */
export class PostgresConnection {
  readonly #options: ConnectionOptions
  #pool: Promise<Pool> | undefined
  #closing: Promise<void> | undefined
  readonly #underWay = new Set<Promise<unknown>>()

  constructor(options: ConnectionOptions) {
    this.#options = options
    if (options.pool === undefined) return
    options.pool.on('error', ignore)
    this.#pool = Promise.resolve(options.pool)
  }

  /**
   * Does `work` with a connection. A statement that was rolled back is tried again, and so is `repeatable` work whose
   * connection turned out to be dead. When the deadline has passed the connection is given up together with the answer
   * that may still come, so that nobody else ever reads it.
   */
  async use<T>(verb: string, repeatable: boolean, work: (ask: Ask) => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) {
      throw new SessionError('ERR_SESSION_STORE', `postgres: ${verb} after close`)
    }
    const errand: Errand = { verb, repeatable, isOver: false, mayTryAgain: false }
    const answer = withDeadline(`postgres: ${verb}`, this.#options.timeout, this.#persist(errand, work))
    this.#underWay.add(answer)
    try {
      return await answer
    } catch (error) {
      errand.isOver = true
      errand.client?.release(true)
      throw postgresError(verb, error)
    } finally {
      this.#underWay.delete(answer)
    }
  }

  /** Ends the connections it made, once all verbs under way are answered. Of a pool that was handed over it only lets go. */
  async close(): Promise<void> {
    this.#closing ??= this.#end()
    return this.#closing
  }

  async #end(): Promise<void> {
    // The pool would leave those waiting who have not got their connection yet.
    await Promise.allSettled(this.#underWay)
    const pool = await this.#pool?.catch(ignore)
    if (this.#options.pool === undefined) await pool?.end()
    else this.#options.pool.removeListener('error', ignore)
  }

  async #persist<T>(errand: Errand, work: (ask: Ask) => Promise<T>): Promise<T> {
    let [rolledBack, lost] = [0, 0]
    for (;;) {
      try {
        return await this.#attempt(errand, work)
      } catch (error) {
        if (errand.isOver || !errand.mayTryAgain) throw error
        if (isRolledBack(error)) {
          if ((rolledBack += 1) >= TRIES) throw error
          await pause(Math.random() * 10 * rolledBack)
        } else if ((lost += 1) > MAX_LOST) throw error
      }
    }
  }

  async #attempt<T>(errand: Errand, work: (ask: Ask) => Promise<T>): Promise<T> {
    this.#pool ??= makePool(this.#options).catch((error: unknown) => {
      this.#pool = undefined
      throw error
    })
    errand.mayTryAgain = false
    const client = await borrow(await this.#pool, errand)
    let failure: unknown
    try {
      return await work(async (statement, values) => this.#ask(client, statement, values))
    } catch (error) {
      failure = error
      errand.mayTryAgain = isRolledBack(error) || (errand.repeatable && isLost(error))
      throw error
    } finally {
      // After the deadline it has been released already, and for good.
      if (!errand.isOver) {
        delete errand.client
        giveBack(client, failure !== undefined && !leavesConnectionUsable(failure))
      }
    }
  }

  async #ask(
    client: PoolClient,
    { text, name }: Statement,
    values: Parameters<Ask>[1] = [],
  ): Promise<Answer> {
    const query: QueryArrayConfig = { text, values: [...values], rowMode: 'array', types: AS_TEXT }
    if (this.#options.prepare && name !== undefined) query.name = name
    const { rows, rowCount } = await client.query<(string | null)[]>(query)
    return { rows, count: rowCount ?? 0 }
  }
}

/** A connection of the pool. One that comes too late goes back at once. */
async function borrow(pool: Pool, errand: Errand): Promise<PoolClient> {
  if (pool.waitingCount >= MAX_WAITING) {
    throw new SessionError(
      'ERR_SESSION_STORE',
      `postgres: ${errand.verb} failed: ${MAX_WAITING} callers wait for a connection already`,
    )
  }
  return new Promise((resolve, reject) => {
    // A callback, since a connection that fails before a promise gets round to its listener would end the process.
    pool.connect((error, client) => {
      if (client === undefined) return reject(error)
      client.on('error', ignore)
      // The pool serves the next in line while a connection is released: thousands who came too late would fill the stack.
      if (errand.isOver) return queueMicrotask(() => giveBack(client))
      errand.client = client
      return resolve(client)
    })
  })
}

/** From then on the pool listens for errors of the connection. */
function giveBack(client: PoolClient, isBroken = false): void {
  client.release(isBroken)
  client.removeListener('error', ignore)
}

/** The pool has dropped the connection already, and whoever used it is told by the rejection of the statement. */
function ignore(): undefined {
  return undefined
}
