import type { Buffer } from 'node:buffer'
import { SessionError } from '../../errors.ts'

/** What is used of a `Client` of memjs. */
export interface MemcacheClient {
  readonly servers: readonly MemcacheServer[]
  readonly options: { readonly failover?: boolean | undefined }
  /** The number of the latest request. It names the reply that belongs to it. */
  readonly seq: number
  incrSeq(): void
  /** The server that keeps a key. */
  server(key: string): MemcacheServer | null | undefined
}

/** What is used of a `Server` of memjs: one connection, and the requests that wait for a reply on it. */
export interface MemcacheServer {
  readonly host: string
  readonly port: number
  readonly username: string | undefined
  readonly password: string | undefined
  readonly options: object
  onResponse(seq: number, listener: (response: MemcacheResponse) => void): void
  onError(seq: number, listener: (error: unknown) => void): void
  /** Fails all requests that wait, and ends the connection. */
  error(error: Error): void
  write(request: Buffer): void
}

/** A response as memjs takes it apart. */
export interface MemcacheResponse {
  readonly header: {
    readonly opcode: number
    readonly status: number
    readonly totalBodyLength: number
    readonly cas: Buffer
  }
  readonly key: Buffer
  readonly extras: Buffer
  readonly val: Buffer
}

/** The commands that are used, by their number in the binary protocol. */
export const Opcode = { add: 0x02, replace: 0x03, delete: 0x04, getWithKey: 0x0c, stat: 0x10 } as const

/** What a server answers where it is more than success or failure. */
export const Status = { ok: 0x00, notFound: 0x01, exists: 0x02, tooLarge: 0x03, unknown: 0x81 } as const

const MEANINGS = new Map<number, string>([
  [Status.tooLarge, 'too large'],
  [0x04, 'invalid arguments'],
  [0x05, 'not stored'],
  [Status.unknown, 'unknown command'],
  [0x82, 'out of memory'],
  [0x83, 'not supported'],
  [0x84, 'internal error'],
  [0x85, 'busy'],
  [0x86, 'temporary failure'],
])

/**
 * The clock of memcached counts whole seconds, lags by up to one, and may have begun on any fraction of one. An item is
 * therefore kept for so long beyond its life, which is told exactly by its flags.
 */
const GRACE_SECONDS = 3

/** Up to 30 days memcached takes a number for a duration. Above it, even what is long past is a moment. */
const FIRST_MOMENT: number = 30 * 24 * 60 * 60 + 1
const LAST_MOMENT = 0xff_ff_ff_ff

/** The second in which a life that lasts until `expiresAt` is over. The protocol ends in 2106, and so does every life. */
export function endOf(expiresAt: number): number {
  return Math.min(Math.max(Math.ceil(expiresAt / 1_000), 0), LAST_MOMENT - GRACE_SECONDS)
}

/** What stands before the value of an item: its flags, which tell the end of its life, and when memcached may drop it. */
export function extrasOf(end: number): Buffer<ArrayBuffer> {
  const extras = globalThis.Buffer.alloc(8)
  extras.writeUInt32BE(end, 0)
  extras.writeUInt32BE(Math.max(end + GRACE_SECONDS, FIRST_MOMENT), 4)
  return extras
}

/** The end of an item's life, from its flags. What somebody else put there has none. */
export function endIn({ extras }: MemcacheResponse): number {
  return extras.length === 4 ? extras.readUInt32BE(0) : 0
}

/**
 * The token of an item as it now stands.
 *
 * @throws SessionError `ERR_SESSION_STORE` if the server gives none: every write would be applied, whatever it is based on
 */
export function tokenIn({ header }: MemcacheResponse): bigint {
  const token = header.cas.readBigUInt64BE(0)
  if (token !== 0n) return token
  throw new SessionError(
    'ERR_SESSION_STORE',
    'memcache: the server compares no versions, since it was started with -C (--disable-cas)',
  )
}

/** The status, which must be one of `expected`; any other is trouble. */
export function statusIn<S extends number>({ header }: MemcacheResponse, ...expected: readonly S[]): S {
  const status = expected.find((each) => each === header.status)
  if (status !== undefined) return status
  const meaning = MEANINGS.get(header.status) ?? `status ${header.status}`
  throw new Error(`the server answered: ${meaning}`)
}
