import { SessionError } from '../../errors.ts'
import type { HeaderAttributes } from '../header-attributes.ts'
import { OUTDATED, OWNER, readOwner, writeOwner, type Owner, type WhenFull } from './owner.ts'

/** How a user signs in. */
export interface SignInOptions {
  /**
   * What `await manager.sessionsOf(owner).since()` has returned before the credentials were looked at: if all sessions of the
   * owner are ended in between, the sign-in is refused. Without it the sign-in counts from its commit.
   */
  readonly since?: string

  /** What a list of the owner's sessions shows, such as `'Firefox on Windows'`: at most 256 characters. */
  readonly label?: string

  /** What identifies the device, such as a long-lived cookie of its own. Only a hash of it is kept. */
  readonly device?: string

  /** How the user has proven who it is, for `isFresh`: a word such as `'password'`. Default: `'password'`. */
  readonly by?: string

  /** How many sessions the owner may have, where that is not `owners.max`. */
  readonly max?: number
}

/** A sign-in that the next commit carries out. */
export interface PendingSignIn {
  readonly owner: Owner
  readonly since: string | undefined
  readonly label: string | undefined
  readonly device: string | undefined
  readonly max: number
  readonly whenFull: WhenFull
}

/** Whom a session belongs to, and since when. */
export interface SessionOwner extends Owner {
  /** The session's public name, by which it is listed and can be ended. */
  readonly handle: string
  /** When the user signed in, in ms since the epoch. */
  readonly signedInAt: number
  /**
   * Whether `device` was given to `signIn`, and none of the owner's last 20 devices was the same. Known in the request that signed in,
   * after its commit.
   */
  readonly isNewDevice?: boolean
}

/** What the option `owners.onSignIn` is told. */
export interface SignedIn {
  readonly owner: Owner
  /** The public name of the session. */
  readonly handle: string
  /** How many sessions the owner has now. */
  readonly sessions: number
  /** Whether `device` was given, and none of the owner's last 20 devices was the same. */
  readonly isNewDevice: boolean
  readonly label: string | undefined
}

/** The header attribute that holds when the owner signed in, in ms since the epoch. */
const SIGNED_IN = 'signed'
/** The header attribute that holds how the owner has proven who it is, and when: `password:ms,otp:ms`. */
const PROOFS = 'auth'
/** The header attribute that holds the mark of the last refresh whose rights the session has read. */
const RIGHTS = 'rights'
const PROOF = /^([a-z][\w-]{0,31}):(\d{1,16})$/i
const LONGEST_TEXT = 256
const METHOD = /^[a-z][\w-]{0,31}$/i

export function ownerIn(attributes: HeaderAttributes): SessionOwner | undefined {
  const owner = readOwner(attributes.get(OWNER))
  const { handle } = attributes
  return owner && { ...owner, handle, signedInAt: Number(attributes.get(SIGNED_IN) ?? 0) }
}

/** The session belongs to `owner` from now on. */
export function bind(attributes: HeaderAttributes, owner: Owner, method: string, now: number): void {
  attributes.set(OWNER, writeOwner(owner))
  attributes.set(SIGNED_IN, String(now))
  attributes.set(PROOFS, undefined)
  attributes.set(OUTDATED, undefined)
  prove(attributes, method, now)
}

/** The sign-in was refused. */
export function unbind(attributes: HeaderAttributes): void {
  attributes.forget([OWNER, SIGNED_IN, PROOFS, OUTDATED])
}

/** The owner has proven once more who it is. */
export function prove(attributes: HeaderAttributes, method: string, now: number): void {
  if (!METHOD.test(method)) {
    const text = 'a method of authentication must be a letter and up to 31 letters, digits, _ and -'
    throw new SessionError('ERR_SESSION_VALUE', text)
  }
  const proofs = new Map(proofsIn(attributes)).set(method, now)
  attributes.set(PROOFS, [...proofs].map(([each, at]) => `${each}:${at}`).join(','))
}

/** Whether the owner has proven who it is in the last `ms`, by `method` or by any. */
export function isProven(
  attributes: HeaderAttributes,
  ms: number,
  method: string | undefined,
  now: number,
): boolean {
  const proofs = proofsIn(attributes).filter(([each]) => method === undefined || each === method)
  return proofs.some(([, at]) => at <= now && now - at < ms)
}

/** Whether the owner's rights have changed since the session was told so last. */
export function isOutdated(attributes: HeaderAttributes): boolean {
  const outdated = attributes.get(OUTDATED)
  return outdated !== undefined && outdated !== attributes.get(RIGHTS)
}

/** The program has read the owner's rights again. */
export function refreshed(attributes: HeaderAttributes): void {
  attributes.set(RIGHTS, attributes.get(OUTDATED))
}

/** @throws SessionError `ERR_SESSION_VALUE` that names the option */
export function checkSignIn({ since, label, device, max }: SignInOptions): void {
  for (const [name, text] of Object.entries({ since, label, device })) {
    if (text !== undefined && (typeof text !== 'string' || text.length > LONGEST_TEXT))
      throw new SessionError('ERR_SESSION_VALUE', `signIn(): ${name} must be text of at most 256 characters`)
  }
  if (max !== undefined && !(Number.isInteger(max) && max >= 1 && max <= 1_000))
    throw new SessionError('ERR_SESSION_VALUE', 'signIn(): max must be a whole number from 1 to 1,000')
}

export function signedInAlready(): SessionError {
  const text =
    'signIn(): this session belongs to another owner; end it first with destroy(), and sign in to the new one'
  return new SessionError('ERR_SESSION_STATE', text)
}

function proofsIn(attributes: HeaderAttributes): (readonly [method: string, at: number])[] {
  const proofs = (attributes.get(PROOFS) ?? '').split(',')
  return proofs.flatMap((text) => {
    const [, method, at] = PROOF.exec(text) ?? []
    return method === undefined ? [] : [[method, Number(at)] as const]
  })
}
