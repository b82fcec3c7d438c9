import { createVersion, Document, type Header } from '../codec/document/document.ts'
import { readHeader } from '../codec/document/header.ts'
import type { Limits } from '../codec/limits.ts'

/** What stands where a session was before its ID was renewed: the way to where it is now. */
export interface Redirect {
  /** The key of the session's record from then on. The ID that belongs to it is stored nowhere. */
  readonly successor: string
  /** Until when the old ID leads there, in ms since the epoch. */
  readonly until: number
}

const SUCCESSOR = 'next'
const UNTIL = 'until'
const KEY = /^[\w-]{1,128}$/

/** Whether a record says no more than where its session went, and where that is. */
export function redirectIn({ attributes }: Header): Redirect | undefined {
  if (attributes.size === 0) return undefined
  const successor = attributes.get(SUCCESSOR)
  if (successor === undefined || !KEY.test(successor)) return undefined
  return { successor, until: Number(attributes.get(UNTIL)) }
}

/** The same of a payload; one that cannot be read leads nowhere. */
export function redirectOf(payload: string): Redirect | undefined {
  try {
    return redirectIn(readHeader(payload).header)
  } catch {
    return undefined
  }
}

/** The payload of such a record. It holds nothing of the session but when that began. */
export function redirectPayload(createdAt: number, { successor, until }: Redirect, limits: Limits): string {
  const attributes = new Map([
    [SUCCESSOR, successor],
    [UNTIL, String(until)],
  ])
  const header = { version: createVersion(), createdAt, attributes }
  return Document.empty(header).write(header, new Map(), limits)
}
