import { connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import type { Pool as CallbackPool } from 'mysql2'
import type { Pool, PoolConnection } from 'mysql2/promise'
import { SessionError } from '../../errors.ts'
import { withDeadline } from '../shared/deadline.ts'
import { loadDriver } from '../shared/driver.ts'
import type { MysqlSettings } from './config.ts'
import { mysqlError, spoilsConnection, wasLost, wasNotApplied } from './errors.ts'

/** A pool of mysql2, of either of its two styles. */
export type MysqlPool = Pool | CallbackPool

type PoolSettings = MysqlSettings & { readonly poolSize: number }

/** So many calls may wait for a connection; beyond that there is no hope for another one. */
const MAX_WAITING = 1_000

/** A statement that the server did not apply is tried so often. */
const MAX_TRIES = 6

/** So many connections of a pool may have died unnoticed, as behind a firewall, before one is had that lives. */
const MAX_LOST = 32

/** One call of a verb, for as long as its caller waits. */
interface Turn {
  isOver: boolean
  /** Whether the last try had a connection, so that something may have been sent. */
  wasServed: boolean
  /** The connection that is at work for it. */
  connection: PoolConnection | undefined
}

/** Runs statements on the connections of a pool: each call within its deadline, and again where that is safe. */
export class MysqlConnection {
  readonly timeout: number
  readonly #open: () => Promise<Pool>
  readonly #isOwner: boolean
  readonly #sockets = new Set<Socket>()
  #pool: Promise<Pool> | undefined
  #waiting = 0
  #closing: Promise<void> | undefined

  /** @param source settings for a pool of its own, or somebody's pool, which is never closed */
  constructor(source: { readonly settings: PoolSettings } | { readonly pool: MysqlPool }, timeout: number) {
    this.timeout = timeout
    this.#isOwner = 'settings' in source
    this.#open = async () => {
      if ('settings' in source) return this.#createPool(source.settings)
      return 'promise' in source.pool ? source.pool.promise() : source.pool
    }
  }

  get isClosed(): boolean {
    return this.#closing !== undefined
  }

  /**
   * What `work` makes of a connection, within so many ms. It is run again if the server says
   * that it applied nothing and, if it is `repeatable`, if the connection turned out to be lost.
   */
  async run<T>(
    verb: string,
    ms: number,
    repeatable: boolean,
    work: (connection: PoolConnection) => Promise<T>,
  ): Promise<T> {
    const turn: Turn = { isOver: false, wasServed: false, connection: undefined }
    try {
      return await withDeadline(
        `mysql: ${verb} failed`,
        Math.max(1, ms),
        this.#persist(turn, repeatable, work),
      )
    } catch (error) {
      throw mysqlError(verb, error)
    } finally {
      turn.isOver = true
      // Still at work: the answer would be taken for that to the next statement.
      turn.connection?.destroy()
    }
  }

  /** Closes its own pool, after what is under way, but waits no longer than for an answer. */
  async close(): Promise<void> {
    this.#closing ??= this.#shut()
    await this.#closing
  }

  async #shut(): Promise<void> {
    if (!this.#isOwner || this.#pool === undefined) return
    try {
      const pool = await this.#pool
      await withDeadline('mysql: close failed', this.timeout, pool.end())
    } catch {
      // What is left of it ends with the sockets.
    }
    for (const socket of this.#sockets) socket.destroy()
  }

  async #persist<T>(
    turn: Turn,
    repeatable: boolean,
    work: (connection: PoolConnection) => Promise<T>,
  ): Promise<T> {
    let [tries, lost] = [0, 0]
    for (;;) {
      try {
        return await this.#attempt(turn, work)
      } catch (error) {
        if (turn.isOver) throw error
        if (wasNotApplied(error) && (tries += 1) < MAX_TRIES) await pause(Math.random() * 10 * 2 ** tries)
        else if (repeatable && turn.wasServed && wasLost(error) && (lost += 1) <= MAX_LOST) {
          // Where one connection is lost others may be too, and the pool is about to hear of it.
          if (lost === 1) await pause(10 + Math.random() * 20)
        } else throw error
      }
    }
  }

  async #attempt<T>(turn: Turn, work: (connection: PoolConnection) => Promise<T>): Promise<T> {
    turn.wasServed = false
    const connection = await this.#acquire()
    if (turn.isOver) {
      connection.release()
      throw new SessionError('ERR_SESSION_STORE', 'mysql: nobody waits for this connection any longer')
    }
    turn.connection = connection
    turn.wasServed = true
    try {
      const result = await work(connection)
      connection.release()
      return result
    } catch (error) {
      if (spoilsConnection(error)) connection.destroy()
      else connection.release()
      throw error
    } finally {
      turn.connection = undefined
    }
  }

  async #acquire(): Promise<PoolConnection> {
    if (this.#waiting >= MAX_WAITING) {
      throw new SessionError('ERR_SESSION_STORE', `mysql: ${MAX_WAITING} calls wait for a connection already`)
    }
    this.#waiting += 1
    try {
      return await (await this.#connected()).getConnection()
    } finally {
      this.#waiting -= 1
    }
  }

  async #connected(): Promise<Pool> {
    this.#pool ??= this.#open().catch((error: unknown) => {
      this.#pool = undefined // so that the next call looks for the driver again
      throw error
    })
    return this.#pool
  }

  async #createPool({ socketPath, host, port, tls, ...settings }: PoolSettings): Promise<Pool> {
    const { createPool } = await loadDriver('mysql2', async () => import('mysql2/promise'))
    const pool = createPool({
      user: settings.user,
      password: settings.password,
      database: settings.database,
      connectionLimit: settings.poolSize,
      connectTimeout: settings.connectTimeout ?? this.timeout,
      charset: 'utf8mb4',
      trace: false,
      ...(tls === undefined ? {} : { ssl: { ...tls } }),
      ...(socketPath === undefined ? { host, port } : { socketPath }),
      stream: () => this.#dial(socketPath === undefined ? connect(port, host) : connect(socketPath)),
    })
    // The pool listens for the first error of a connection only; a second one would end the process.
    pool.on('connection', (connection: PoolConnection) => void connection.on('error', () => undefined))
    return pool
  }

  /** A socket that `close` can find, and that does not wait for a stalled server to say goodbye. */
  #dial(socket: Socket): Socket {
    this.#sockets.add(socket)
    socket.setNoDelay(true)
    socket.setKeepAlive(true, 30_000)
    socket.once('finish', () => socket.destroy())
    socket.once('close', () => this.#sockets.delete(socket))
    return socket
  }
}
