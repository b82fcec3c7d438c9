import * as crypto from 'node:crypto'
import type { ExecutionContext } from 'ava'
import Koa from 'koa'
import { session, type Importer, type SessionEvent, type SessionOptions } from '../../src/index.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { Client, serve } from '../support/client.ts'

export interface Site {
  readonly events: SessionEvent[]
  /** What a request with these cookies finds, as `[key, value]`; and then nothing, if there is no session. */
  look(cookies: string): Promise<unknown>
  /** Logs out with these cookies. Returns the names of the cookies that are removed. */
  logOut(cookies: string): Promise<readonly string[]>
  /** What the values are in the process of the program itself. */
  readonly seen: Map<string, unknown>
}

/** A program that takes the sessions of one library over. */
export async function siteOf(
  t: ExecutionContext,
  importer: Importer,
  options: SessionOptions = {},
): Promise<Site> {
  const events: SessionEvent[] = []
  const seen = new Map<string, unknown>()
  const store = new MemoryStore({
    maxEntries: Infinity,
    maxBytes: Infinity,
    ...(options.now && { now: options.now }),
  })
  const sessions = session({ store, adopt: [importer], onEvent: (event) => events.push(event), ...options })
  const koa = new Koa()
  koa.use(sessions)
  koa.use(async (ctx) => {
    if (ctx.path === '/logout') ctx.body = String(await ctx['session'].destroy())
    else {
      seen.clear()
      for (const [key, value] of ctx['session']) seen.set(String(key), value)
      ctx.body = JSON.stringify(Object.fromEntries(seen), (_, value: unknown) =>
        typeof value === 'bigint' ? `${value}n` : value,
      )
    }
  })
  const { client } = await serve(t, koa)
  const { base } = client()
  const get = async (path: string, cookie: string): ReturnType<Client['get']> =>
    new Client(base).get(path, { headers: { cookie } })
  return {
    events,
    seen,
    look: async (cookies) => {
      const { status, text } = await get('/', cookies)
      return status === 200 ? JSON.parse(text) : status
    },
    logOut: async (cookies) => {
      const { status, setCookies } = await get('/logout', cookies)
      if (status !== 200) throw new Error(`status ${status}`)
      return setCookies.filter((line) => /Max-Age=0/.test(line)).map((line) => line.split('=')[0] ?? '')
    },
  }
}

/** A cookie of Koa and its signature, as the package keygrip makes it. */
export function koaCookies(name: string, value: string, key: string): string {
  const hmac = crypto.createHmac('sha1', key).update(`${name}=${value}`).digest('base64')
  const signature = hmac.replaceAll('/', '_').replaceAll('+', '-').replaceAll('=', '')
  return `${name}=${value}; ${name}.sig=${signature}`
}

/** A cookie of express-session, as the packages cookie-signature and cookie make it. */
export function expressCookie(name: string, sid: string, secret: string): string {
  const signature = crypto.createHmac('sha256', secret).update(sid).digest('base64').replace(/=+$/, '')
  return `${name}=${encodeURIComponent(`s:${sid}.${signature}`)}`
}

/** Why the last session was not taken over. */
export function refusalOf(events: readonly SessionEvent[]): string | undefined {
  const event = events.findLast(({ type }) => type === 'decode-failed')
  return event !== undefined && 'error' in event && event.error instanceof Error
    ? event.error.message
    : undefined
}
