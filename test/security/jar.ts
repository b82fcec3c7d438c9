/** A cookie as RFC 6265bis stores it. */
interface Kept {
  readonly name: string
  readonly value: string
  readonly path: string
  readonly domain: string
  readonly hostOnly: boolean
  readonly secure: boolean
  readonly httpOnly: boolean
  readonly partitioned: boolean
  readonly expires: number
}

/** A browser's cookie jar, as strict as RFC 6265bis, section 5.6: it silently drops what the RFC does not allow. */
export class Jar {
  readonly #host: string
  readonly #secure: boolean
  readonly #now: () => number
  #kept: Kept[] = []
  /** Why each dropped cookie was dropped. */
  readonly dropped: string[] = []

  constructor(origin: string, now: () => number = Date.now) {
    const { hostname, protocol } = new URL(origin)
    this.#host = hostname
    this.#secure = protocol === 'https:'
    this.#now = now
  }

  /** The names of the cookies that it holds. */
  get names(): string[] {
    this.#expire()
    return this.#kept.map(({ name }) => name)
  }

  /** The `Cookie` header for a path of the site. */
  header(path: string): string {
    this.#expire()
    return this.#kept
      .filter((cookie) => (this.#secure || !cookie.secure) && pathMatches(path, cookie.path))
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ')
  }

  /** Takes a `Set-Cookie` line. */
  store(line: string): void {
    const why = this.#store(line)
    if (why !== undefined) this.dropped.push(why)
  }

  #store(line: string): string | undefined {
    if (/\p{Cc}/u.test(line)) return 'a control character'
    const [pair = '', ...rest] = line.split(';')
    const at = pair.indexOf('=')
    const [name, value] = [pair.slice(0, at).trim(), pair.slice(at + 1).trim()]
    if (Buffer.byteLength(name + value) > 4096) return 'more than 4096 octets'
    const attributes = new Map<string, string>()
    for (const part of rest) {
      const [key = '', ...words] = part.split('=')
      const text = words.join('=').trim()
      if (Buffer.byteLength(text) <= 1024) attributes.set(key.trim().toLowerCase(), text)
    }
    const domain = attributes.get('domain')?.replace(/^\./, '').toLowerCase()
    if (domain !== undefined && domain !== this.#host && !this.#host.endsWith(`.${domain}`))
      return 'a foreign domain'
    const path = attributes.get('path')?.startsWith('/') === true ? (attributes.get('path') ?? '/') : '/'
    const secure = attributes.has('secure')
    if (secure && !this.#secure) return 'Secure on a plain connection'
    if (attributes.get('samesite')?.toLowerCase() === 'none' && !secure) return 'SameSite=None without Secure'
    if (attributes.has('partitioned') && !secure) return 'Partitioned without Secure'
    if (/^__secure-/i.test(name) && !secure) return '__Secure- without Secure'
    const host = /^__host-/i.test(name)
    if (host && (!secure || domain !== undefined || attributes.get('path') !== '/')) return '__Host- rules'
    const cookie: Kept = {
      name,
      value,
      path,
      domain: domain ?? this.#host,
      hostOnly: domain === undefined,
      secure,
      httpOnly: attributes.has('httponly'),
      partitioned: attributes.has('partitioned'),
      expires: this.#expiry(attributes),
    }
    // Cookies with the same name, domain, path and partition are the same cookie (5.7, step 24).
    this.#kept = this.#kept.filter((old) => !sameCookie(old, cookie))
    this.#kept.push(cookie)
    return undefined
  }

  #expiry(attributes: ReadonlyMap<string, string>): number {
    const maxAge = attributes.get('max-age')
    const capped = Math.min(Number(maxAge), 400 * 86_400)
    if (maxAge !== undefined) return capped <= 0 ? -Infinity : this.#now() + capped * 1000
    const expires = attributes.get('expires')
    return expires === undefined ? Infinity : Date.parse(expires)
  }

  #expire(): void {
    this.#kept = this.#kept.filter(({ expires }) => expires > this.#now())
  }
}

function sameCookie(one: Kept, other: Kept): boolean {
  return (['name', 'domain', 'hostOnly', 'path', 'partitioned'] as const).every(
    (key) => one[key] === other[key],
  )
}

function pathMatches(path: string, cookiePath: string): boolean {
  if (path === cookiePath) return true
  return path.startsWith(cookiePath) && (cookiePath.endsWith('/') || path.at(cookiePath.length) === '/')
}
