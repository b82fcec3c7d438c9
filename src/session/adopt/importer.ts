/** A session of another library, as an importer has read it. */
export interface OldSession {
  /** What the new session is to hold: a value for each key. */
  readonly values: Readonly<Record<string, unknown>>
  /** When the old session ends unless the old library extends it, in ms since the epoch. Default: never. */
  readonly expiresAt?: number | undefined
}

/** A cookie of another library. */
export interface OldCookie {
  readonly name: string
  /** The path that it was set for: a browser removes it only for the same one. Default: `'/'`. */
  readonly path?: string | undefined
  /** The domain that it was set for. Default: only the host of the request. */
  readonly domain?: string | undefined
}

/** The values that a request has for the cookie with this name, as they were sent: neither unquoted nor decoded. At most three. */
export type CookieValues = (name: string) => readonly string[]

/**
 * Reads the sessions of another library, for the option `adopt`. `koa-typed-session/migrate` has importers; a program may write its own.
 *
 * ```ts
 * const importer: Importer = {
 *   name: 'legacy',
 *   cookies: [{ name: 'legacy' }],
 *   find: (valuesOf) => valuesOf('legacy').filter((value) => /^[0-9a-f]{32}$/.test(value)),
 *   read: async (id) => {
 *     const row = await table.find(id)
 *     return row && { values: JSON.parse(row.data), expiresAt: row.expires }
 *   },
 *   destroy: async (id) => table.remove(id),
 * }
 * ```
 */
export interface Importer {
  /** Tells the importers of a program apart, in events and errors. Keep it: sessions that were ended under another name could be taken over again. */
  readonly name: string

  /** The cookies of the old library. A logout removes them. */
  readonly cookies: readonly OldCookie[]

  /** The IDs of old sessions in a request, as far as their signatures are right. Asks no store. */
  find(valuesOf: CookieValues): readonly string[]

  /**
   * The old session with this ID; `undefined` if there is none.
   *
   * A rejection means trouble of the old store, and is answered with status 503, or as `onStoreError` says. A session that is there but cannot be
   * read is rejected with a `SessionError` of the code `ERR_SESSION_DECODE`: then the visit is anonymous.
   *
   * @param now the time in ms since the epoch
   */
  read(id: string, now: number): Promise<OldSession | undefined>

  /** Removes the old session, so that a logout holds after a rollback too. Left out where the session is in the cookie itself. */
  destroy?(id: string): Promise<unknown>
}

/** @internal The ID of an old session in a request, and the importer that knows it. */
export interface OldCredential {
  readonly importer: Importer
  readonly id: string
}
