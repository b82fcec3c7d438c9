// Libraries whose sessions are taken over, each in an application of its own that counts visits and knows its user.
import { createRequire } from 'node:module'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Server } from 'node:http'
import { Redis } from 'ioredis'
import Koa, { type Middleware } from 'koa'
import type { Connect } from './packages.ts'
import { createKoaSession } from './packages.ts'

const load = createRequire(import.meta.url)

type ExpressSession = ((options: object) => Connect) & { readonly Store: object }

const expressSession = load('express-session') as ExpressSession
const genericSession = load('koa-generic-session') as (options: object) => Middleware
const { RedisStore } = load('connect-redis') as { RedisStore: new (options: object) => object }
const connectPg = load('connect-pg-simple') as (session: ExpressSession) => new (options: object) => object
const connectMysql = load('express-mysql-session') as (
  session: ExpressSession,
) => new (options: object, pool?: object) => { onReady(): Promise<void> }
const nodeRedis = load('redis') as {
  createClient: (options: object) => { connect(): Promise<unknown>; close(): Promise<void> }
}

export const KEY = 'a key of the old program'

/** The values of an old session as its program has them. */
interface OldValues {
  user?: string
  visits?: number
}

/** An old application: `/login?user=` and `/`, which counts. It answers with the user and the count. */
export interface OldApplication {
  readonly server: Server
  close(): Promise<void>
}

/** What the routes of each old application do with the session. */
function visit(url: string, session: OldValues): string {
  const { pathname, searchParams } = new URL(url, 'http://localhost')
  if (pathname === '/login') session.user = searchParams.get('user') ?? ''
  if (session.user !== undefined) session.visits = (session.visits ?? 0) + 1
  return `${session.user ?? 'a guest'} ${session.visits ?? 0}`
}

/** koa-session's store on Redis, as programs write it. */
export function koaStore(redis: Redis, prefix: string): object {
  return {
    get: async (key: string): Promise<unknown> => JSON.parse((await redis.get(prefix + key)) ?? 'null'),
    set: async (key: string, value: unknown, ms: number): Promise<void> =>
      void (await redis.set(prefix + key, JSON.stringify(value), 'PX', ms)),
    destroy: async (key: string): Promise<void> => void (await redis.del(prefix + key)),
  }
}

/** An application of koa-session, with a store or in its cookie. */
export function koaSessionApp(store?: object): OldApplication {
  const app = new Koa()
  app.keys = [KEY]
  app.use(createKoaSession({ maxAge: 86_400_000, ...(store !== undefined && { store }) }, app))
  return koaApp(app)
}

export function koaGenericSessionApp(redis: Redis): OldApplication {
  const app = new Koa()
  app.keys = [KEY]
  const store = {
    get: async (key: string): Promise<unknown> => JSON.parse((await redis.get(key)) ?? 'null') ?? undefined,
    set: async (key: string, value: unknown, ms: number): Promise<void> =>
      void (await redis.set(key, JSON.stringify(value), 'PX', ms)),
    destroy: async (key: string): Promise<void> => void (await redis.del(key)),
  }
  app.use(genericSession({ store }))
  return koaApp(app)
}

function koaApp(app: Koa): OldApplication {
  app.use((ctx) => {
    ctx.body = visit(ctx.url, ctx['session'] as OldValues)
  })
  return { server: app.listen(0, '127.0.0.1'), close: async () => {} }
}

/** An application of express-session, without Express: its middleware needs the request and the response only. */
function expressApp(store: object, close: () => Promise<void>): OldApplication {
  const middleware = expressSession({ secret: KEY, resave: false, saveUninitialized: false, store })
  const handle = (req: IncomingMessage, res: ServerResponse): void => {
    middleware(req as never, res, (error) => {
      const { session } = req as unknown as { readonly session: OldValues }
      if (error !== undefined) res.statusCode = 500
      res.end(error === undefined ? visit(req.url ?? '/', session) : 'an error')
    })
  }
  return { server: createServer(handle).listen(0, '127.0.0.1'), close }
}

export async function connectRedisApp(url: string): Promise<OldApplication> {
  const client = nodeRedis.createClient({ url })
  await client.connect()
  return expressApp(new RedisStore({ client }), async () => client.close())
}

export function connectPgApp(pool: object): OldApplication {
  const Store = connectPg(expressSession)
  return expressApp(
    new Store({ pool, createTableIfMissing: true, pruneSessionInterval: false }),
    async () => {},
  )
}

export async function expressMysqlApp(pool: object): Promise<OldApplication> {
  const Store = connectMysql(expressSession)
  const store = new Store({ createDatabaseTable: true, clearExpired: false }, pool)
  await store.onReady()
  return expressApp(store, async () => {})
}
