import type { Server } from 'node:http'
import type { ExecutionContext } from 'ava'
import type Koa from 'koa'

/** A response, with its headers as they were sent. */
export interface Answer {
  readonly status: number
  readonly text: string
  readonly headers: Headers
  readonly setCookies: readonly string[]
}

/** A browser at one site: its cookies, and requests with them. */
export class Client {
  readonly base: string
  readonly cookies = new Map<string, string>()

  constructor(base: string) {
    this.base = base
  }

  /** Another client with the same cookies, as they are now. */
  clone(): Client {
    const twin = new Client(this.base)
    for (const [name, value] of this.cookies) twin.cookies.set(name, value)
    return twin
  }

  async get(path: string, init: RequestInit = {}): Promise<Answer> {
    const headers = new Headers(init.headers)
    if (!headers.has('cookie') && this.cookies.size > 0) {
      headers.set('cookie', [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; '))
    }
    const response = await fetch(this.base + path, { redirect: 'manual', ...init, headers })
    const setCookies = response.headers.getSetCookie()
    for (const line of setCookies) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (/max-age=0/i.test(line)) this.cookies.delete(name)
      else this.cookies.set(name, value)
    }
    return { status: response.status, text: await response.text(), headers: response.headers, setCookies }
  }
}

/** A listening application, and clients for it. */
export interface Served {
  readonly server: Server
  client(): Client
}

/** Serves an application on a free port until the test ends; Koa prints none of its errors. */
export async function serve(
  t: Pick<ExecutionContext, 'teardown'>,
  app: Pick<Koa, 'listen' | 'silent'>,
): Promise<Served> {
  app.silent = true
  const server = app.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not listening')
  const base = `http://127.0.0.1:${address.port}`
  t.teardown(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return { server, client: () => new Client(base) }
}
