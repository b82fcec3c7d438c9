import { EventEmitter, once } from 'node:events'
import { Agent, request as ask, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import Koa from 'koa'
import { session, type Session, type SessionMiddleware, type SessionOptions } from '../../src/index.ts'

/** The answer of a site. */
export interface Answer {
  readonly status: number
  readonly text: string
  /** What `Set-Cookie` says of the session cookie: its new value, `''` if it is deleted, `undefined` if nothing. */
  readonly cookie: string | undefined
}

/** A route of a site, called with the part of the path after its name. */
export type Route = (
  ctx: { readonly session: Session; readonly res: ServerResponse },
  rest: string,
) => unknown

/** A listening Koa application with sessions, and a client with kept connections. */
export interface Site {
  readonly sessions: SessionMiddleware
  /** Requests `/name/rest` with that cookie value, if any. `signal` drops the connection. */
  ask(path: string, cookie?: string, signal?: AbortSignal): Promise<Answer>
  /** Resolves when the next request for this path has been handled, whether or not its client is still connected. */
  handled(path: string): Promise<unknown>
  close(): Promise<void>
}

/** Opens a site. The answer of a route is what it returns, as JSON. */
export async function openSite(
  options: SessionOptions<undefined, 'session'>,
  routes: Readonly<Record<string, Route>>,
): Promise<Site> {
  const sessions = session(options)
  const requests = new EventEmitter()
  const app = new Koa().use(async (ctx, next) => next().finally(() => requests.emit(ctx.path))).use(sessions)
  app.silent = true
  app.use(async (ctx) => {
    const [, name = '', rest = ''] = ctx.path.split('/')
    const answer = await routes[name]?.(ctx, rest)
    ctx.body = JSON.stringify(answer ?? null)
  })
  const server = app.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not listening')
  // Kept connections stay open for long, so that the server does not close one while a client sends a request.
  server.keepAliveTimeout = 0
  const { port } = address
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })

  return {
    sessions,
    ask: async (path, cookie, signal) =>
      new Promise((resolve, reject) => {
        const headers = cookie === undefined ? {} : { cookie: `sid=${cookie}` }
        const options = { host: '127.0.0.1', port, path, agent, headers, signal }
        const request = ask(options, (response) => {
          let text = ''
          response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
          response.on('error', reject).on('end', () => {
            resolve({ status: response.statusCode ?? 0, text, cookie: cookieOf(response.headers) })
          })
        })
        request.on('error', reject).end()
      }),
    handled: async (path) => once(requests, path),
    async close() {
      agent.destroy()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await sessions.manager.close()
    },
  }
}

function cookieOf(headers: IncomingHttpHeaders): string | undefined {
  const [line] = headers['set-cookie'] ?? []
  return line === undefined ? undefined : /^sid=([^;]*)/.exec(line)?.[1]
}

/** Routes to begin a session, to count in it, to read the count and to end the session. */
export const counting: Readonly<Record<string, Route>> = {
  begin: ({ session }) => void session.set('n', 0),
  count: ({ session }) => session.update('n', (n = 0) => n + 1),
  look: ({ session }) => session.get('n'),
  logout: async ({ session }) => session.destroy(),
}
