import { Cookie, CookieJar } from 'tough-cookie'

/** What a visitor sees after one step. */
export interface Seen {
  readonly status: number
  readonly html: string
  readonly headers: Headers
  /** The text of the flash message, if there is one. */
  readonly flash: string | undefined
}

/** Somebody with a browser of sorts: it keeps cookies, and sends the forms that it finds on pages. */
export class Visitor {
  readonly #url: string
  readonly #jar: CookieJar

  constructor(url: string, jar: CookieJar = new CookieJar()) {
    this.#url = url
    this.#jar = jar
  }

  /** Another visitor with the same cookies as this one has now: somebody who copied them. */
  async copy(): Promise<Visitor> {
    return new Visitor(this.#url, await this.#jar.clone())
  }

  /** The same cookies at another address: the shop after a restart on another port. */
  at(url: string): Visitor {
    return new Visitor(url, this.#jar)
  }

  /** The value of the session cookie, if there is one. */
  async cookie(): Promise<string | undefined> {
    const cookies = await this.#jar.getCookies(this.#url)
    return cookies.find(({ key }) => key === 'sid')?.value
  }

  /** Looks at a page. */
  async see(path: string): Promise<Seen> {
    return this.#request(path, {})
  }

  /** Sends a form and follows the redirect, as browsers do. */
  async send(path: string, fields: Readonly<Record<string, string>>): Promise<Seen> {
    const seen = await this.sendOnly(path, fields)
    const location = seen.headers.get('location')
    return seen.status === 303 && location !== null ? this.see(location) : seen
  }

  /** Sends a form and looks at the bare answer. */
  async sendOnly(path: string, fields: Readonly<Record<string, string>>): Promise<Seen> {
    return this.#request(path, { method: 'POST', body: new URLSearchParams(fields) })
  }

  /** Opens a page, fills in its form for `action`, and sends it. */
  async fill(page: string, action: string, fields: Readonly<Record<string, string>> = {}): Promise<Seen> {
    return this.send(action, { ...formOn((await this.see(page)).html, action), ...fields })
  }

  async #request(path: string, init: RequestInit): Promise<Seen> {
    const cookie = await this.#jar.getCookieString(this.#url)
    const headers = cookie === '' ? {} : { cookie }
    const response = await fetch(new URL(path, this.#url), { ...init, headers, redirect: 'manual' })
    for (const line of response.headers.getSetCookie()) {
      const parsed = Cookie.parse(line)
      if (parsed !== undefined) await this.#jar.setCookie(parsed, this.#url)
    }
    const html = await response.text()
    const flash = /<p class="notice" role="status">([^<]*)</.exec(html)?.[1]
    return { status: response.status, html, headers: response.headers, flash }
  }
}

/** The hidden fields of the form that sends to `action`. */
export function formOn(html: string, action: string): Record<string, string> {
  const form = html
    .split('<form ')
    .slice(1)
    .find((text) => text.includes(`action="${action}"`))
  if (form === undefined) throw new Error(`the page has no form for ${action}`)
  const [inside = ''] = form.split('</form>')
  return Object.fromEntries(
    [...inside.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)].map(
      ([, name = '', value = '']) => [name, value],
    ),
  )
}
