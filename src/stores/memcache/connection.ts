import { Buffer } from 'node:buffer'
import { Socket } from 'node:net'
import { Deadlines, msLeft, type Deadline } from '../shared/deadlines.ts'
import { driverError } from '../shared/driver.ts'
import { noAnswer, Refusal } from '../shared/errors.ts'
import { optionError } from '../shared/options.ts'
import type { MemcacheAddress } from './config.ts'
import {
  Opcode,
  Status,
  statusIn,
  type MemcacheClient,
  type MemcacheResponse,
  type MemcacheServer,
} from './protocol.ts'

/** A command for the server that keeps `key`. */
export interface MemcacheRequest {
  readonly opcode: number
  readonly key: string
  readonly extras?: Buffer
  readonly value?: string
  /** Apply the command only if the item still has this token. */
  readonly token?: bigint
}

type Memjs = typeof import('memjs')

/** The first byte of every response in the binary protocol. */
const RESPONSE = 0x81

/** No request has this number, so a listener for its failure is called only when the connection fails. */
const CONNECTION = -1

/** The error codes of a connection that the server closed. The first one is also used for errors made here. */
const LOST: readonly unknown[] = ['ECONNRESET', 'EPIPE']

/** memjs logs nothing: what it would log is in its errors. */
const logger = { log: (): void => undefined }

const TIMED_OUT = /^socket timed out/

const watched = new WeakSet<MemcacheServer>()

/**
 * The connections to the servers: one request, one response.
 *
 * memjs hashes keys, authenticates and implements the protocol. This class adds three things. A request carries a token.
 * No request is sent twice. A connection that failed is never used again, and neither is its memjs `Server`, which would
 * read the rest of an old response as the beginning of the next one.
 */
export class MemcacheConnection {
  readonly #memjs: Memjs
  readonly #client: MemcacheClient
  readonly #isOwner: boolean
  readonly #deadlines = new Deadlines()
  #isClosed = false

  private constructor(memjs: Memjs, client: MemcacheClient, isOwner: boolean) {
    this.#memjs = memjs
    this.#client = client
    this.#isOwner = isOwner
  }

  /** Loads the driver. It connects to a server at the first request for it. */
  static async open(
    to: MemcacheClient | readonly MemcacheAddress[],
    timeout: number,
  ): Promise<MemcacheConnection> {
    const memjs = await loadDriver()
    if ('servers' in to) return new MemcacheConnection(memjs, to, false)
    const seconds = { timeout: timeout / 1_000, conntimeout: timeout / 1_000 }
    const servers = to.map(({ host, port, username, password }) => {
      const server = new memjs.Server(host, port, username, password, { ...seconds })
      return Object.assign(server, { username, password }) // memjs takes them from the environment otherwise
    })
    return new MemcacheConnection(memjs, new memjs.Client(servers, { logger, failover: false }), true)
  }

  /** As `call`, for a request that may be sent twice: if the connection was lost, it is sent once more. */
  async ask(request: MemcacheRequest, deadline: Deadline): Promise<MemcacheResponse> {
    try {
      return await this.call(request, deadline)
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && LOST.includes(error.code))) throw error
      return this.call(request, deadline)
    }
  }

  /** The response of the server. Rejects if there is none by the deadline, or if it belongs to another request. */
  async call(request: MemcacheRequest, deadline: Deadline): Promise<MemcacheResponse> {
    const server = this.#client.server(request.key)
    if (server === null || server === undefined) throw new Error('memjs has no server for this key')
    const [response] = await this.#exchange(server, request, deadline, () => true)
    const { opcode, key } = request
    const isOurs = response?.header.opcode === opcode && ['', key].includes(response.key.toString())
    if (response !== undefined && isOurs) return response
    const error = new Error('the server answered another request than the one that was sent')
    server.error(error)
    throw error
  }

  /**
   * Asks every server for its settings, and rejects if one is down or set up in a way that breaks the store's promises. Then it reads
   * and deletes an item that no server has, as the verbs would.
   */
  async check(absentKey: string, maxItemBytes: number, deadline: Deadline): Promise<void> {
    await Promise.all(
      this.#client.servers.map(async (server) => {
        await this.#checkSettings(server, maxItemBytes, deadline)
        for (const opcode of [Opcode.getWithKey, Opcode.delete]) {
          const [response] = await this.#exchange(server, { opcode, key: absentKey }, deadline, () => true)
          if (response?.header.opcode !== opcode) throw new Error('the server answered another request')
          statusIn(response, Status.ok, Status.notFound)
        }
      }),
    )
  }

  async #checkSettings(server: MemcacheServer, maxItemBytes: number, deadline: Deadline): Promise<void> {
    const request = { opcode: Opcode.stat, key: 'settings' }
    const lines = await this.#exchange(server, request, deadline, endsSettings)
    if (lines.some((line) => statusIn(line, Status.ok, Status.unknown) === Status.unknown)) return
    const settings = new Map(lines.map(({ key, val }) => [key.toString(), val.toString()]))
    if (settings.get('cas_enabled') === 'no') {
      throw optionError(
        'memcache',
        'the server was started with -C (--disable-cas), which turns off the tokens that sessions need',
      )
    }
    const largest = Number(settings.get('item_size_max') ?? maxItemBytes)
    if (largest >= maxItemBytes) return
    throw optionError(
      'memcache',
      `the server accepts items of at most ${largest} bytes (its option -I): set maxItemBytes to that`,
    )
  }

  /** Closes the connections that were made here, and rejects the pending requests on them. */
  close(): void {
    if (!this.#isOwner) return
    this.#isClosed = true
    for (const server of this.#client.servers) server.error(closed())
  }

  /** Sends a request, and collects the responses to it. A deadline that passes also closes the connection. */
  async #exchange(
    server: MemcacheServer,
    { opcode, key, extras = Buffer.alloc(0), value = '', token = 0n }: MemcacheRequest,
    deadline: Deadline,
    isLast: (response: MemcacheResponse) => boolean,
  ): Promise<readonly MemcacheResponse[]> {
    if (msLeft(deadline) <= 0) throw new Error(noAnswer(deadline))
    if (this.#isClosed) throw closed()
    this.#client.incrSeq()
    const seq = this.#client.seq >>> 0 // memjs lets it overflow into negative numbers, which the protocol does not know
    const request = this.#memjs.Utils.makeRequestBuffer(opcode, key, extras, value, seq)
    request.writeBigUInt64BE(token, 16)
    const responses: MemcacheResponse[] = []
    const answered = new Promise<readonly MemcacheResponse[]>((resolve, reject) => {
      const listener = Object.assign(collect, { quiet: true }) // memjs keeps a quiet listener for further responses
      function collect(response: MemcacheResponse): void {
        responses.push(response)
        if (!isLast(response)) return
        listener.quiet = false
        resolve(responses)
      }
      server.onResponse(seq, listener)
      server.onError(seq, (error) => reject(errorOf(error, deadline)))
      server.write(request)
      this.#watch(server)
    })
    return this.#deadlines.within(deadline, answered, () => {
      const error = new Error(noAnswer(deadline))
      server.error(error)
      return error
    })
  }

  /** Closes a connection when anything fails on it, and puts a new `Server` in the place of its own. */
  #watch(server: MemcacheServer): void {
    if (watched.has(server)) return
    watched.add(server)
    // The property is not documented, and the only way to reach a connection after memjs has dropped it.
    const socket: unknown = Reflect.get(server, '_socket')
    server.onError(CONNECTION, () => {
      if (socket instanceof Socket) socket.destroy()
      const { servers } = this.#client
      if (servers.includes(server)) Reflect.set(servers, servers.indexOf(server), this.#fresh(server))
    })
    if (!(socket instanceof Socket)) return
    socket.once('close', () => {
      server.error(Object.assign(new Error('the connection was closed'), { code: LOST[0] }))
    })
    if (!socket.connecting) return
    socket.once('data', (chunk: Buffer) => {
      if (chunk[0] === RESPONSE) return
      server.error(new Error('the server does not speak the binary protocol of memcached'))
    })
  }

  #fresh({ host, port, username, password, options }: MemcacheServer): MemcacheServer {
    const server = new this.#memjs.Server(host, port, username, password, options)
    return Object.assign(server, { username, password })
  }
}

/** An empty response follows the settings. A server that does not tell them answers with an error status. */
function endsSettings({ header }: MemcacheResponse): boolean {
  return header.status !== Status.ok || header.totalBodyLength === 0
}

function closed(): Error {
  return new Error('the store was closed')
}

/** memjs reports a refused login as a string. Its own timeout is as long as ours, and whichever ends first tells the same. */
function errorOf(error: unknown, deadline: Deadline): Error {
  if (error instanceof Error) return TIMED_OUT.test(error.message) ? new Error(noAnswer(deadline)) : error
  return new Refusal('the server asks for a user and a password, and they are missing or wrong')
}

async function loadDriver(): Promise<typeof import('memjs')> {
  try {
    return await import('memjs')
  } catch (error) {
    throw driverError('memjs', error)
  }
}
