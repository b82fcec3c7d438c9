import { checkSessionOptions, wrong } from '../session/check-options.ts'
import type { ManagerOptions, SessionOptions } from '../session/options.ts'
import { cookieWishes } from '../session/providers.ts'
import type { Schema } from '../session/schema.ts'

/** Checks the middleware's options, and parts them by who needs what. */
export function splitOptions<S extends Schema | undefined, P extends string>(
  given: SessionOptions<S, P>,
): {
  enabled: boolean
  property: P | 'session'
  commitOnError: (error: unknown) => boolean
  hooks: Pick<SessionOptions, 'passive' | 'mayCreate'>
  onStoreError: 'throw' | 'anonymous'
  managerOptions: ManagerOptions<S>
  /** All of them, with what the engine's config string adds. */
  settled: SessionOptions
} {
  checkSessionOptions(given)
  const options = withWishes(given)
  checkSessionOptions(options)
  checkCookie(options)
  const {
    enabled = true,
    property = 'session',
    commitOnError = isExposed,
    onStoreError = 'throw',
    ...rest
  } = options
  const { name: _name, cookie: _cookie, header: _header, query: _query, ...others } = rest
  const { passive, mayCreate, ...managerOptions } = others
  const hooks = { ...(passive && { passive }), ...(mayCreate && { mayCreate }) }
  const decide = typeof commitOnError === 'function' ? commitOnError : (): boolean => commitOnError
  return { enabled, property, commitOnError: decide, onStoreError, hooks, managerOptions, settled: options }
}

/** The options, and what the engine's config string says about the cookie where they say nothing. */
function withWishes<S extends Schema | undefined, P extends string>(
  options: SessionOptions<S, P>,
): SessionOptions<S, P> {
  const { provider, providerConfig, name, cookie = {} } = options
  if (cookie === false) return options
  const wishes = cookieWishes(provider, providerConfig)
  const { secure, maxAge } = wishes
  agree('name', name, 'cookieName', wishes.name)
  agree('cookie.secure', cookie.secure, 'secure', secure)
  agree('cookie.maxAge', cookie.maxAge, 'maxage', maxAge)
  return {
    ...options,
    ...(wishes.name !== undefined && { name: wishes.name }),
    cookie: { ...cookie, ...(secure !== undefined && { secure }), ...(maxAge !== undefined && { maxAge }) },
  }
}

function agree<T>(field: string, ours: T | undefined, theirField: string, theirs: T | undefined): void {
  if (ours === undefined || theirs === undefined || ours === theirs) return
  throw wrong(field, `is not what ${theirField} in providerConfig says; leave one of the two out`)
}

/** Koa shows such an error to the client: the handler meant to answer with it. */
function isExposed(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'expose' in error && error.expose === true
}

function checkCookie({ cookie, header, query, name = 'sid' }: SessionOptions): void {
  if (cookie === false && header === undefined && query === undefined) {
    throw wrong('cookie', 'is false, and neither header nor query says how the ID travels')
  }
  const prefix = /^__(host|secure)-/i.exec(name)?.[0]
  if (cookie === false || prefix === undefined) return
  if (cookie?.secure !== true) throw wrong('name', `begins with ${prefix}, which needs cookie.secure: true`)
  const elsewhere = cookie.domain !== undefined || (cookie.path ?? '/') !== '/'
  if (elsewhere && prefix.toLowerCase() === '__host-') {
    throw wrong('name', `begins with ${prefix}, which allows no cookie.domain and no cookie.path but /`)
  }
}
