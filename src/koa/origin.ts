import type { IncomingHttpHeaders } from 'node:http'
import { optionError } from '../session/check-options.ts'

/** Options of `sessions.open(request, …)`. */
export interface OpenRequestOptions {
  /**
   * The origins whose pages may open the session, such as `['https://shop.example']`; `'any'` does not look at the origin. Default:
   * the host that the request was sent to, over HTTPS if the request came so. A request without `Origin` is not one of a page in a
   * browser, and is not refused.
   */
  readonly origins?: readonly string[] | 'any'
}

/** The part of a request that says which page has sent it, and to which host. */
export interface Addressed {
  readonly headers: IncomingHttpHeaders
  readonly socket?: object | null
}

/**
 * Whether the session may be opened for the page that has sent the request. Browsers send the cookies of a site with a WebSocket
 * upgrade whichever page asks for it, as far as `SameSite` lets them, and no CORS stands in between.
 */
export function isFromOrigin({ headers, socket }: Addressed, { origins }: OpenRequestOptions): boolean {
  const { origin } = headers
  if (origin === undefined || origins === 'any') return true
  if (origins !== undefined) return origins.includes(origin)
  // HTTP/2 has the host in a header of its own.
  const host = headers.host ?? headers[':authority']
  if (typeof host !== 'string' || !/^https?:\/\//.test(origin) || !URL.canParse(origin)) return false
  const page = new URL(origin)
  const own = `${page.protocol}//${host}`
  const isDowngraded = isEncrypted(socket) && page.protocol !== 'https:'
  return !isDowngraded && URL.canParse(own) && new URL(own).host === page.host
}

/** @throws SessionError `ERR_SESSION_OPTIONS` for an option that is not known, or an origin that no request can have */
export function checkOpenRequestOptions(options: OpenRequestOptions): void {
  const unknown = Object.keys(options).find((name) => name !== 'origins')
  if (unknown !== undefined) throw optionError(`open: ${unknown}`, 'is not a setting; there is only origins')
  const { origins } = options
  if (origins === undefined || origins === 'any') return
  const isList = Array.isArray(origins) && origins.every((origin) => isOrigin(origin))
  if (!isList)
    throw optionError(
      'open: origins',
      "must be 'any' or a list of origins as browsers send them, such as ['https://shop.example']: scheme, host and, unless it is the default, port",
    )
}

function isOrigin(origin: unknown): boolean {
  if (typeof origin !== 'string') return false
  // An opaque origin, as of a sandboxed frame or a local file.
  if (origin === 'null') return true
  return URL.canParse(origin) && new URL(origin).origin === origin
}

function isEncrypted(socket: object | null | undefined): boolean {
  return typeof socket === 'object' && socket !== null && 'encrypted' in socket && socket.encrypted === true
}
