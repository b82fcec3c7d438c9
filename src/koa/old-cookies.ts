import { stringifySetCookie } from 'cookie'
import { SessionError } from '../errors.ts'
import type { Importer, OldCookie, OldCredential } from '../session/adopt/importer.ts'
import type { Events } from '../session/events.ts'
import { cookieValues } from './cookie-header.ts'

/** Each may cost a read of the old store. */
const MAX_VALUES = 3
const none: readonly never[] = []

/** The cookies of the libraries whose sessions are taken over. */
export class OldCookies {
  readonly #importers: readonly Importer[]
  readonly #cookies: readonly OldCookie[]
  readonly #events: Events

  constructor(importers: readonly Importer[], events: Events) {
    this.#importers = importers
    this.#cookies = importers.flatMap(({ cookies }) => cookies)
    this.#events = events
  }

  /** The old sessions that a request may have. What is broken is none. */
  credentialsIn(header: string | undefined): readonly OldCredential[] {
    if (header === undefined || this.#importers.length === 0) return none
    return this.#importers.flatMap((importer): readonly OldCredential[] => {
      const valuesOf = (name: string): readonly string[] => cookieValues(header, name, MAX_VALUES)
      try {
        return [...new Set(importer.find(valuesOf))].slice(0, MAX_VALUES).map((id) => ({ importer, id }))
      } catch (cause) {
        const text = `${importer.name}: the cookies of a request could not be read`
        const error = new SessionError('ERR_SESSION_DECODE', text, { cause })
        this.#events.emit({ type: 'decode-failed', handle: undefined, scope: 'payload', error })
        return none
      }
    })
  }

  /** The `Set-Cookie` lines that remove the old cookies which a request has. */
  removals(header: string | undefined, secure: boolean): readonly string[] {
    if (header === undefined) return none
    const held = this.#cookies.filter(({ name }) => cookieValues(header, name, 1).length > 0)
    return held.map(({ name, path = '/', domain }) =>
      stringifySetCookie({
        name,
        value: '',
        path,
        ...(domain !== undefined && { domain }),
        httpOnly: true,
        secure,
        maxAge: 0,
        expires: new Date(0),
      }),
    )
  }
}
