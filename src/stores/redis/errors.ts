import type { Cluster, Redis } from 'ioredis'
import { isMistake } from '../shared/errors.ts'
import type { RedisConfig } from './config.ts'

/** What an error of ioredis or of the server means for the verb. */
export interface RedisErrorInfo {
  /** The reason, without a key, a payload or a password. */
  readonly reason: string
  /** Whether it may be over in a moment, so that a retry makes sense. */
  readonly passing: boolean
  /** Whether the server refuses writes alone. */
  readonly readable: boolean
  /** Whether it is the server's answer to the command, which was not applied then. */
  readonly answered: boolean
  /** Whether the command may have been applied in spite of it. */
  readonly doubtful: boolean
  /** Whether the connection leads to a server that is no longer the primary. */
  readonly misled: boolean
}

type Known = Pick<RedisErrorInfo, 'reason'> & Partial<Omit<RedisErrorInfo, 'answered'>>

const REFUSED = { passing: false, readable: false, doubtful: false, misled: false } as const
const LOST = { passing: true, readable: false, answered: false, doubtful: true, misled: false } as const

/** Errors of the server, by their first word. A command that was answered so was not applied. */
const REFUSALS: ReadonlyMap<string, Known> = new Map([
  ['OOM', { reason: 'Redis is full: maxmemory is reached and nothing can be evicted (OOM)' }],
  [
    'READONLY',
    {
      reason: 'the server is a replica, which accepts no writes (READONLY)',
      passing: true,
      readable: true,
      misled: true,
    },
  ],
  ['MOVED', { reason: 'the slot of this key is moving (MOVED)', passing: true }],
  ['ASK', { reason: 'the slot of this key is moving (ASK)', passing: true }],
  ['TRYAGAIN', { reason: 'the slot of this key is moving (TRYAGAIN)', passing: true }],
  ['CLUSTERDOWN', { reason: 'no node serves the slot of this key (CLUSTERDOWN)', passing: true }],
  ['LOADING', { reason: 'Redis is loading its data (LOADING)', passing: true }],
  ['MASTERDOWN', { reason: 'the replica has lost its primary (MASTERDOWN)', passing: true }],
  ['NOREPLICAS', { reason: 'too few replicas are in step (NOREPLICAS)', passing: true, readable: true }],
  ['BUSY', { reason: 'Redis is busy with a script (BUSY)', passing: true }],
  ['NOSCRIPT', { reason: 'the server forgot a script (NOSCRIPT)', passing: true }],
  ['MISCONF', { reason: 'Redis cannot save to its disk and refuses writes (MISCONF)' }],
  ['NOAUTH', { reason: 'the server asks for a password (NOAUTH)' }],
  ['WRONGPASS', { reason: 'user or password is wrong (WRONGPASS)' }],
  ['NOPERM', { reason: 'the user may not do this, or not with these keys (NOPERM)' }],
  ['WRONGTYPE', { reason: 'a key with this prefix is no session (WRONGTYPE)' }],
])

/** Errors without a word of their own. */
const PHRASES: readonly (readonly [RegExp, Known])[] = [
  [/max number of clients/, { reason: 'the server has too many clients', passing: true }],
  [/DB index is out of range/, { reason: 'the server has no database of that number' }],
  [/SELECT is not allowed/, { reason: 'the server belongs to a cluster: use redis_cluster' }],
  [/cluster support disabled/, { reason: 'the server belongs to no cluster: use redis' }],
  [
    /Last error: .*unknown command/i,
    { reason: 'the address is that of a Redis, and no Sentinel answers there: use redis or redis_cluster' },
  ],
  [
    /Last error: NO(?:AUTH|PERM)/,
    { reason: 'the Sentinels ask for a user and a password (NOAUTH): hand over a client that has them' },
  ],
  [/No such master/, { reason: 'the sentinels know no primary of that name' }],
  [
    /All sentinels are unreachable/,
    { reason: 'no sentinel names a primary that can be reached', passing: true },
  ],
  [/ACL failure in script|can't run this command/, { reason: 'the user may not do this (NOPERM)' }],
  [/unknown command/i, { reason: 'the server does not know the command' }],
]

/** Errors of the network, as opposed to those of a certificate. */
const NETWORK = /^(?:ECONN|ETIMEDOUT|EHOST|ENET|ENOTFOUND|ENOENT|EAI_|EPIPE)/

/** The server closed the connection, as one does that expects TLS. */
const CLOSED = /^(?:ECONNRESET|EPIPE)$/

/** What ioredis says where none of several servers can be used. It does not say why. */
const ALL_FAILED =
  /Failed to refresh slots|None of startup nodes|All sentinels are unreachable|Connection is closed/

const NOT_SENT = /enableOfflineQueue|Cluster isn't ready|None of startup nodes|Failed to refresh slots/

/** What an error that is no `SessionError` means. `where` is the server's name in the text. */
export function errorInfoOf(error: unknown, where: string): RedisErrorInfo {
  const { message, code, isReply: isRefusal } = look(error)
  const words = message.match(/\b[A-Z]{3,}\b/g) ?? []
  // Before Redis 7 the word is inside: 'ERR Error running script …: -OOM command not allowed …'.
  const known =
    PHRASES.find(([phrase]) => phrase.test(message))?.[1] ??
    (isRefusal ? REFUSALS.get(words.find((word) => REFUSALS.has(word)) ?? '') : undefined)
  if (known !== undefined) return { ...REFUSED, ...known, answered: isRefusal }
  if (isRefusal) return { ...REFUSED, reason: 'the server refuses', answered: true }
  if (code !== undefined) {
    const reason = `${placeOf(error) ?? where} cannot be reached (${code})${hintOf(error)}`
    return { ...LOST, reason, passing: NETWORK.test(code) }
  }
  if (NOT_SENT.test(message))
    return { ...LOST, reason: `there is no connection to ${where}`, doubtful: false }
  return { ...LOST, reason: 'the connection was lost' }
}

/** What one node of a Cluster, or one of the Sentinels, has failed with. */
export class NodeFailure extends Error {
  override readonly name = 'NodeFailure'
  readonly code: string
  /** Its address. */
  readonly where: string
  /** What may be the reason, for the end of a sentence; otherwise empty. */
  readonly hint: string

  constructor(where: string, code: string, isSecure: boolean) {
    super(`${where}: ${code}`)
    this.code = code
    this.where = where
    this.hint = tlsHint(code, isSecure)
  }
}

/** A question about TLS, where a server behaves as if it spoke another one than the client. */
export function tlsHint(code: string, isSecure: boolean): string {
  if (isSecure) return /^(?:EPROTO|ETIMEDOUT|ERR_SSL)/.test(code) ? '; it may not speak TLS' : ''
  return CLOSED.test(code) ? '; it may speak TLS only: rediss:' : ''
}

/** Whether ioredis has told that several servers failed, and not why. */
export function hidesReason(error: unknown): boolean {
  const { message, isReply: isRefusal } = look(error)
  return !isRefusal && ALL_FAILED.test(message) && !/Last error: (?:ERR|NO[A-Z]+|WRONG)/.test(message)
}

function placeOf(error: unknown): string | undefined {
  return error instanceof NodeFailure ? error.where : undefined
}

function hintOf(error: unknown): string {
  return error instanceof NodeFailure ? error.hint : ''
}

/** What error messages call the server: its addresses, unless the client is the application's. */
export function whereabouts(source: Redis | Cluster | RedisConfig): string {
  if (!('addresses' in source)) return 'the server'
  return source.addresses.map((each) => ('path' in each ? each.path : `${each.host}:${each.port}`)).join(', ')
}

/**
 * A copy of the error that may be logged. ioredis attaches the command with its arguments, which contain key and payload,
 * and some servers repeat arguments in their text.
 */
export function harmless(error: unknown): unknown {
  if (!(error instanceof Error) || (isMistake(error) && !('command' in error))) return error
  const told = new Error(error.message.replace(/,? with args.*$/s, ''))
  told.name = error.name
  told.stack = `${told.name}: ${told.message}`
  return 'code' in error ? Object.assign(told, { code: error.code }) : told
}

function look(error: unknown): { message: string; code: string | undefined; isReply: boolean } {
  if (!(error instanceof Error)) return { message: '', code: undefined, isReply: false }
  // If no node of a cluster can be used, the answer of the last one tells why.
  if ('lastNodeError' in error && isReply(error.lastNodeError)) return look(error.lastNodeError)
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  return { message: error.message, code, isReply: isReply(error) }
}

function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError'
}
