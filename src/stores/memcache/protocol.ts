import type { Buffer } from 'node:buffer'
import { Refusal, refusedError } from '../shared/errors.ts'

/** The parts of a `Client` of memjs that are used. */
export interface MemcacheClient {
  readonly servers: readonly MemcacheServer[]
  readonly options: { readonly failover?: boolean | undefined }
  /** The number of the latest request. A response carries the number of its request. */
  readonly seq: number
  incrSeq(): void
  /** The server that keeps the key. */
  server(key: string): MemcacheServer | null | undefined
}

/** The parts of a `Server` of memjs that are used: one connection, and the pending requests on it. */
export interface MemcacheServer {
  readonly host: string
  readonly port: number
  readonly username: string | undefined
  readonly password: string | undefined
  readonly options: object
  onResponse(seq: number, listener: (response: MemcacheResponse) => void): void
  onError(seq: number, listener: (error: unknown) => void): void
  /** Rejects all pending requests, and closes the connection. */
  error(error: Error): void
  write(request: Buffer): void
}

/** A response as memjs parses it. */
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

/** The commands that are used, with their numbers in the binary protocol. */
export const Opcode = { add: 0x02, replace: 0x03, delete: 0x04, getWithKey: 0x0c, stat: 0x10 } as const

/** The statuses that verbs distinguish. */
export const Status = { ok: 0x00, notFound: 0x01, exists: 0x02, tooLarge: 0x03, unknown: 0x81 } as const

const MEANINGS = new Map<number, string>([
  [Status.tooLarge, 'too large'],
  [0x04, 'invalid arguments'],
  [0x05, 'not stored'],
  [Status.unknown, 'unknown command'],
  [0x82, 'out of memory: it is full and evicts nothing'],
  [0x83, 'not supported'],
  [0x84, 'internal error'],
  [0x85, 'busy'],
  [0x86, 'temporary failure'],
])

/**
 * The clock of memcached counts whole seconds, lags by up to one, and may have started at any fraction of one. So memcached
 * keeps an item for this much longer than the session lives; the flags hold the exact end.
 */
const GRACE_SECONDS = 3

/** memcached takes a number up to 30 days for a duration, and a larger one for a time since the epoch, even a past one. */
const FIRST_MOMENT: number = 30 * 24 * 60 * 60 + 1
const LAST_MOMENT = 0xff_ff_ff_ff

/** The second in which `expiresAt` is reached. The protocol ends in 2106, and so does every life. */
export function endOf(expiresAt: number): number {
  return Math.min(Math.max(Math.ceil(expiresAt / 1_000), 0), LAST_MOMENT - GRACE_SECONDS)
}

/** The bytes before the value of an item: its flags, which hold the end of its life, and when memcached may drop it. */
export function extrasOf(end: number): Buffer<ArrayBuffer> {
  const extras = globalThis.Buffer.alloc(8)
  extras.writeUInt32BE(end, 0)
  extras.writeUInt32BE(Math.max(end + GRACE_SECONDS, FIRST_MOMENT), 4)
  return extras
}

/** The end of an item's life, from its flags; 0 if another program stored the item without them. */
export function endIn({ extras }: MemcacheResponse): number {
  return extras.length === 4 ? extras.readUInt32BE(0) : 0
}

/**
 * The current token of an item.
 *
 * @throws SessionError `ERR_SESSION_STORE` if the server sends none: then it would apply every write, conflicts included
 */
export function tokenIn({ header }: MemcacheResponse): bigint {
  const token = header.cas.readBigUInt64BE(0)
  if (token !== 0n) return token
  throw refusedError(
    'memcache',
    'the server compares no tokens, because it was started with -C (--disable-cas)',
  )
}

/** The status of a response. Throws if it is none of `expected`. */
export function statusIn<S extends number>({ header }: MemcacheResponse, ...expected: readonly S[]): S {
  const status = expected.find((each) => each === header.status)
  if (status !== undefined) return status
  const meaning = MEANINGS.get(header.status) ?? `status ${header.status}`
  throw new Refusal(`the server answered: ${meaning}`)
}
