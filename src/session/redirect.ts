import { createVersion, Document, type Header } from '../codec/document/document.ts'
import { readHeader } from '../codec/document/header.ts'
import type { Limits } from '../codec/limits.ts'
import { HANDLE, handleIn } from './handle.ts'
import { hashId } from './id.ts'

/** The record that an old ID leaves behind when its session gets a new one. It leads to the session's new record. */
export interface Redirect {
  /** The key of the new record. The ID that belongs to it is stored nowhere. */
  readonly successor: string
  /** Until when the old ID opens the session, in ms since the epoch. It stands in the payload, since a read may extend the record. */
  readonly until: number
  /**
   * `open`, after a rotation: the old ID opens the session until {@link until}, and requests under way commit to the new
   * record. `commit`, after a `regenerate()`: the old ID opens nothing, requests under way are refused, and only a
   * `destroy()` follows. `latest`: the record under a {@link trailKey}, which no ID opens.
   */
  readonly mode: 'open' | 'commit' | 'latest'
  /** What the rotations of a session since its last `regenerate()` have in common: see {@link trailKey}. */
  readonly trail: string | undefined
  /** The handle of the session, for events. */
  readonly handle: string | undefined
  /** The key of the record of the session's owner, if it has one. */
  readonly ownerKey: string | undefined
}

const SUCCESSOR = 'next'
const UNTIL = 'until'
const MODE = 'mode'
const OWNED_BY = 'owned-by'
const ENDED = 'ended'
/** The header attribute of sessions and redirects that holds {@link Redirect.trail}. */
export const TRAIL = 'trail'
const KEY = /^[\w-]{1,128}$/

/** Only a loop of redirects is longer: rotations are further apart than their grace. */
const MAX_HOPS = 100

/** The redirect in a record's header, if the record is one. */
export function redirectIn({ attributes }: Header): Redirect | undefined {
  if (attributes.size === 0) return undefined
  const successor = attributes.get(SUCCESSOR)
  if (successor === undefined || !KEY.test(successor)) return undefined
  const kind = attributes.get(MODE)
  const mode = kind === 'commit' || kind === 'latest' ? kind : 'open'
  const until = Number(attributes.get(UNTIL))
  const [trail, key] = [attributes.get(TRAIL), attributes.get(OWNED_BY)]
  const ownerKey = key !== undefined && KEY.test(key) ? key : undefined
  return { successor, until, mode, trail, handle: handleIn(attributes), ownerKey }
}

/** The redirect in a payload, if it is one. A payload that cannot be read is none. */
export function redirectOf(payload: string): Redirect | undefined {
  try {
    return redirectIn(readHeader(payload).header)
  } catch {
    return undefined
  }
}

/** The payload of a redirect. Of the session it holds only when that began, and the handle. */
export function redirectPayload(
  createdAt: number,
  { successor, until, mode, trail, handle, ownerKey }: Redirect,
  limits: Limits,
): string {
  const attributes = new Map([
    [SUCCESSOR, successor],
    [UNTIL, String(until)],
  ])
  if (mode !== 'open') attributes.set(MODE, mode)
  if (trail !== undefined) attributes.set(TRAIL, trail)
  if (handle !== undefined) attributes.set(HANDLE, handle)
  if (ownerKey !== undefined) attributes.set(OWNED_BY, ownerKey)
  return emptyPayload(createdAt, attributes, limits)
}

/**
 * The key of the redirect that leads to a session's newest record, or to one that leads on. So a logout with an ID that was
 * rotated long ago follows it in one step, however many rotations there were since.
 */
export function trailKey(trail: string, algorithm: string): string {
  return hashId(`trail ${trail}`, algorithm)
}

/** The handle of the session in a payload; `undefined` if it cannot be read. */
export function handleOf(payload: string): string | undefined {
  try {
    return handleIn(readHeader(payload).header.attributes)
  } catch {
    return undefined
  }
}

/**
 * The key of the tombstone of a record: it says that the session was ended while another request was writing to it. A
 * request that moves the session to a new ID at the same time reads it before it tells the client.
 */
export function tombstoneKey(key: string, algorithm: string): string {
  return hashId(`end ${key}`, algorithm)
}

/** Whether a record is a tombstone. */
export function isTombstone({ attributes }: Header): boolean {
  return attributes.has(ENDED)
}

/** As {@link isTombstone}, of a payload. */
export function isTombstonePayload(payload: string): boolean {
  try {
    return isTombstone(readHeader(payload).header)
  } catch {
    return false
  }
}

/** The payload of a tombstone. */
export function tombstonePayload(now: number, limits: Limits): string {
  return emptyPayload(now, new Map([[ENDED, '1']]), limits)
}

function emptyPayload(createdAt: number, attributes: ReadonlyMap<string, string>, limits: Limits): string {
  const header = { version: createVersion(), createdAt, attributes }
  return Document.empty(header).write(header, new Map(), limits)
}

/**
 * Reads the record under `key` and follows redirects from there.
 *
 * @param read reads the record under a key
 * @param redirect the redirect that a record is, if it is one that leads on
 * @param known the record under `key`, where it has been read
 * @returns the last record and its key; no record where the session has ended
 */
export async function followRedirects<R>(
  key: string,
  read: (key: string) => Promise<R | undefined>,
  redirect: (record: R) => Redirect | undefined,
  known?: R,
): Promise<{ readonly key: string; readonly record: R | undefined }> {
  let at = key
  for (let hops = 0; hops < MAX_HOPS; hops += 1) {
    const record = hops === 0 && known !== undefined ? known : await read(at)
    const next = record && redirect(record)
    if (next === undefined) return { key: at, record }
    at = next.successor
  }
  return { key: at, record: undefined }
}
