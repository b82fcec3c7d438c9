import { SessionError } from '../../errors.ts'
import { readHeader } from '../../codec/document/header.ts'
import { hashId } from '../id.ts'

/** Whom a session belongs to: a user, in a tenant where there are several. */
export interface Owner {
  /** The user's ID in the application: 1 to 256 characters. */
  readonly id: string
  /** The tenant, such as a customer or a realm, in which the ID is unique. Default: none. */
  readonly tenant?: string
}

/** What happens to a sign-in when its owner has as many sessions as are allowed. */
export type WhenFull = 'unused' | 'oldest' | 'refuse'

/** The header attribute of a session that holds its owner. */
export const OWNER = 'owner'

/** The header attribute that says that the owner's rights have changed: a mark that no other refresh has made. */
export const OUTDATED = 'outdated'

const LONGEST = 256

/**
 * Checks an owner as a program writes it: an ID, or an ID with its tenant.
 *
 * @throws SessionError `ERR_SESSION_VALUE` that says what was expected
 */
export function ownerOf(owner: string | Owner): Owner {
  const { id, tenant } =
    typeof owner === 'object' && owner !== null ? owner : { id: owner, tenant: undefined }
  if (!isName(id)) throw invalid('the ID of an owner must be text of 1 to 256 characters')
  if (tenant === undefined) return { id }
  if (!isName(tenant)) throw invalid('the tenant of an owner must be text of 1 to 256 characters')
  return { id, tenant }
}

/** The owner that a payload's header names. */
export function ownerOfPayload(payload: string): Owner | undefined {
  try {
    return readOwner(readHeader(payload).header.attributes.get(OWNER))
  } catch {
    return undefined
  }
}

/** Whether a session's payload holds neither a value nor an owner. */
export function holdsNothing(payload: string): boolean {
  const isHeaderOnly = payload.indexOf('\n') === payload.length - 1
  return isHeaderOnly && !readHeader(payload).header.attributes.has(OWNER)
}

export function isSameOwner(one: Owner, other: Owner): boolean {
  return one.id === other.id && one.tenant === other.tenant
}

/** The owner as the value of a header attribute, which has no spaces. */
export function writeOwner({ id, tenant }: Owner): string {
  return encodeURIComponent(JSON.stringify(tenant === undefined ? [id] : [id, tenant]))
}

/** The owner in a header attribute. Stored text is not trusted: anything else is no owner. */
export function readOwner(text: string | undefined): Owner | undefined {
  if (text === undefined) return undefined
  try {
    const parts: unknown = JSON.parse(decodeURIComponent(text))
    if (!Array.isArray(parts) || parts.length > 2) return undefined
    const [id, tenant] = parts as readonly unknown[] // of whatever was stored
    return ownerOf(
      tenant === undefined ? { id: id as string } : { id: id as string, tenant: tenant as string },
    )
  } catch {
    return undefined
  }
}

/** The key of an owner's record. No ID contains a space, so no ID leads there. */
export function ownerKey({ id, tenant }: Owner, algorithm: string): string {
  return hashId(`owner ${JSON.stringify([tenant ?? null, id])}`, algorithm)
}

function isName(text: unknown): text is string {
  return typeof text === 'string' && text.length > 0 && text.length <= LONGEST && !/\p{Surrogate}/u.test(text)
}

function invalid(text: string): SessionError {
  return new SessionError('ERR_SESSION_VALUE', text)
}
