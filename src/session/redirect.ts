import { createVersion, Document, type Header } from '../codec/document/document.ts'
import { readHeader } from '../codec/document/header.ts'
import type { Limits } from '../codec/limits.ts'

/** The record that an old ID leaves behind when it is rotated. It leads to the session's new record. */
export interface Redirect {
  /** The key of the new record. The ID that belongs to it is stored nowhere. */
  readonly successor: string
  /** Until when the old ID opens the session, in ms since the epoch. */
  readonly until: number
}

const SUCCESSOR = 'next'
const UNTIL = 'until'
const KEY = /^[\w-]{1,128}$/

/** Only a loop of redirects is longer: rotations are further apart than their grace. */
const MAX_HOPS = 100

/** The redirect in a record's header, if the record is one. */
export function redirectIn({ attributes }: Header): Redirect | undefined {
  if (attributes.size === 0) return undefined
  const successor = attributes.get(SUCCESSOR)
  if (successor === undefined || !KEY.test(successor)) return undefined
  return { successor, until: Number(attributes.get(UNTIL)) }
}

/** The redirect in a payload, if it is one. A payload that cannot be read is none. */
export function redirectOf(payload: string): Redirect | undefined {
  try {
    return redirectIn(readHeader(payload).header)
  } catch {
    return undefined
  }
}

/** The payload of a redirect. Of the session it holds only when that began. */
export function redirectPayload(createdAt: number, { successor, until }: Redirect, limits: Limits): string {
  const attributes = new Map([
    [SUCCESSOR, successor],
    [UNTIL, String(until)],
  ])
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
