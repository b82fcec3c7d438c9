import { Buffer } from 'node:buffer'
import { Socket } from 'node:net'
import { SessionError } from '../../errors.ts'
import { loadDriver } from '../shared/driver.ts'
import type { MemcacheAddress } from './config.ts'
import {
  Opcode,
  Status,
  statusIn,
  type MemcacheClient,
  type MemcacheResponse,
  type MemcacheServer,
} from './protocol.ts'

/** A command to the server that keeps `key`. */
export interface MemcacheRequest {
  readonly opcode: number
  readonly key: string
  readonly extras?: Buffer
  readonly value?: string
  /** Only if the item still has this token. */
  readonly token?: bigint
}

type Memjs = typeof import('memjs')

/** The first byte of every response in the binary protocol. */
const RESPONSE = 0x81

/** Under this number no request is ever sent, so a listener for its failure hears of the failure of the connection. */
const CONNECTION = -1

/** The codes of errors where the other side ended the connection. The first one is also what we call it. */
const LOST: readonly unknown[] = ['ECONNRESET', 'EPIPE']

/** Nothing of memjs is logged: what it has to say is in the error that it gives. */
const logger = { log: (): void => undefined }

const watched = new WeakSet<MemcacheServer>()

/**
 * The way to the servers: one request, one response.
 *
 * memjs hashes, authenticates and speaks the protocol. What is done around it: a request carries a token; nothing is
 * sent twice; and a connection on which something went wrong is never used again, nor is the memjs `Server` that held
 * it, since that would read what is left of an old response as the beginning of the next one.
 */
export class MemcacheConnection {
  readonly #memjs: Memjs
  readonly #client: MemcacheClient
  #ended = false

  private constructor(memjs: Memjs, client: MemcacheClient) {
    this.#memjs = memjs
    this.#client = client
  }

  /** Loads the driver; connections are made when they are needed. */
  static async over(
    to: MemcacheClient | readonly MemcacheAddress[],
    timeout: number,
  ): Promise<MemcacheConnection> {
    const memjs = await loadDriver('memjs', async () => import('memjs'))
    if ('servers' in to) return new MemcacheConnection(memjs, to)
    const seconds = { timeout: timeout / 1_000, conntimeout: timeout / 1_000 }
    const servers = to.map(({ host, port, username, password }) => {
      const server = new memjs.Server(host, port, username, password, { ...seconds })
      return Object.assign(server, { username, password }) // and not what the environment says
    })
    return new MemcacheConnection(memjs, new memjs.Client(servers, { logger, failover: false }))
  }

  /** As `call`, for what may be sent twice: once more where a connection turns out to have been lost. */
  async ask(request: MemcacheRequest, until: number): Promise<MemcacheResponse> {
    try {
      return await this.call(request, until)
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && LOST.includes(error.code))) throw error
      return this.call(request, until)
    }
  }

  /** What the server answers. Rejects if it does not `until` then, a moment of `performance.now`, or answers something else. */
  async call(request: MemcacheRequest, until: number): Promise<MemcacheResponse> {
    const server = this.#client.server(request.key)
    if (server === null || server === undefined) throw new Error('no server is left to ask')
    const [response] = await this.#exchange(server, request, until, () => true)
    const { opcode, key } = request
    const isOurs = response?.header.opcode === opcode && ['', key].includes(response.key.toString())
    if (response !== undefined && isOurs) return response
    const error = new Error('the server answered something else than was asked')
    server.error(error)
    throw error
  }

  /** Asks every server for one of its settings, to see that all are there, and that they let us keep our promises. */
  async check(maxItemBytes: number, until: number): Promise<void> {
    await Promise.all(
      this.#client.servers.map(async (server) => {
        const request = { opcode: Opcode.stat, key: 'settings' }
        const lines = await this.#exchange(server, request, until, endsSettings)
        if (lines.some((line) => statusIn(line, Status.ok, Status.unknown) === Status.unknown)) return
        const settings = new Map(lines.map(({ key, val }) => [key.toString(), val.toString()]))
        if (settings.get('cas_enabled') === 'no') {
          throw new SessionError(
            'ERR_SESSION_OPTIONS',
            'memcache: the server was started with -C (--disable-cas), and sessions need the tokens that it turns off',
          )
        }
        const largest = Number(settings.get('item_size_max') ?? maxItemBytes)
        if (largest >= maxItemBytes) return
        throw new SessionError(
          'ERR_SESSION_OPTIONS',
          `memcache: the server takes items of at most ${largest} bytes (its option -I): set maxItemBytes to that`,
        )
      }),
    )
  }

  /** Ends all connections at once; whoever still waits is told. */
  end(): void {
    this.#ended = true
    for (const server of this.#client.servers) server.error(closed())
  }

  /** Sends a request, and collects responses to it up to the last one. */
  async #exchange(
    server: MemcacheServer,
    { opcode, key, extras = Buffer.alloc(0), value = '', token = 0n }: MemcacheRequest,
    until: number,
    isLast: (response: MemcacheResponse) => boolean,
  ): Promise<readonly MemcacheResponse[]> {
    const left = until - performance.now()
    if (left <= 0) throw late()
    if (this.#ended) throw closed()
    this.#client.incrSeq()
    const seq = this.#client.seq >>> 0 // memjs lets it run into the negative numbers, which are no names of requests
    const request = this.#memjs.Utils.makeRequestBuffer(opcode, key, extras, value, seq)
    request.writeBigUInt64BE(token, 16)
    const responses: MemcacheResponse[] = []
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise((resolve, reject) => {
        timer = setTimeout(() => server.error(late()), left)
        const listener = Object.assign(collect, { quiet: true }) // more than one response may come
        function collect(response: MemcacheResponse): void {
          responses.push(response)
          if (!isLast(response)) return
          listener.quiet = false
          resolve(responses)
        }
        server.onResponse(seq, listener)
        server.onError(seq, (error) => reject(errorOf(error)))
        server.write(request)
        this.#watch(server)
      })
    } finally {
      clearTimeout(timer)
    }
  }

  /** Sees to it that a connection ends when anything goes wrong on it, and that a fresh one takes its place. */
  #watch(server: MemcacheServer): void {
    if (watched.has(server)) return
    watched.add(server)
    // Not a documented property, and the only way to hold a connection that memjs has let go of.
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
      server.error(new Error('what answers there does not speak the binary protocol of memcached'))
    })
  }

  #fresh({ host, port, username, password, options }: MemcacheServer): MemcacheServer {
    const server = new this.#memjs.Server(host, port, username, password, options)
    return Object.assign(server, { username, password })
  }
}

/** After the settings comes an empty response; where they are not told, a refusal. */
function endsSettings({ header }: MemcacheResponse): boolean {
  return header.status !== Status.ok || header.totalBodyLength === 0
}

function closed(): Error {
  return new Error('the store was closed')
}

function late(): Error {
  return new Error('no answer within the timeout')
}

/** memjs tells of a refused log-in by a string. */
function errorOf(error: unknown): Error {
  if (error instanceof Error) return error
  return new Error('the server asks for a user and a password, and none or others were given')
}
