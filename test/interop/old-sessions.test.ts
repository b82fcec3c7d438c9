// Sessions that the real old libraries have written, on real servers, are taken over, rolled back to, and ended.
import { once } from 'node:events'
import test, { type ExecutionContext } from 'ava'
import { Redis } from 'ioredis'
import Koa from 'koa'
import mysql from 'mysql2/promise'
import { Pool } from 'pg'
import { session, type SessionMiddleware, type Store } from '../../src/index.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import {
  expressSession,
  koaGenericSession,
  koaSession,
  migrate,
  type Importer,
  type KoaSessionStore,
} from '../../src/migrate/index.ts'
import { PostgresStore } from '../../src/stores/postgres.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import { freshDatabase, mariadbServer } from '../servers/mariadb.ts'
import { emptyDatabase, postgresServer } from '../servers/postgres.ts'
import { redisServer } from '../servers/redis.ts'
import { Client, serve } from '../support/client.ts'
import {
  connectPgApp,
  connectRedisApp,
  expressMysqlApp,
  KEY,
  koaGenericSessionApp,
  koaSessionApp,
  koaStore,
  type OldApplication,
} from './old-packages.ts'
import { allowLongRun } from '../support/long-run.ts'

const USERS = Number(process.env['KTS_USERS'] ?? 40)

let url = ''
let redis: Redis
let pg: Pool
let pgUrl = ''
let pool: mysql.Pool
const stops: (() => Promise<unknown>)[] = []

test.before('the servers start', async () => {
  const [redisRuns, postgresRuns, mariadbRuns] = await Promise.all([
    redisServer(),
    postgresServer(),
    mariadbServer(),
  ])
  ;({ url } = redisRuns)
  redis = new Redis(url)
  const database = await emptyDatabase(postgresRuns)
  pgUrl = database.url
  pg = new Pool({ connectionString: pgUrl })
  const mariadb = await freshDatabase(mariadbRuns)
  pool = mysql.createPool(mariadb.url)
  stops.push(
    async () => redis.quit(),
    async () => pg.end(),
    async () => pool.end(),
    async () => redisRuns.stop(),
    async () => postgresRuns.stop(),
    async () => mariadbRuns.stop(),
  )
})

test.after.always('the servers stop', async () => {
  for (const stop of stops) await stop().catch(() => {})
})

/** A client of an old application. */
async function clientOf(t: ExecutionContext, { server, close }: OldApplication): Promise<Client> {
  if (!server.listening) await once(server, 'listening')
  const address = server.address()
  t.teardown(async () => {
    server.closeAllConnections()
    server.close()
    await close()
  })
  return new Client(`http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`)
}

/** The new application. It answers as the old ones do, with the session's handle behind it. */
async function newApp(
  t: ExecutionContext,
  store: Store,
  adopt: readonly Importer[],
): Promise<{ client: (cookies: Client) => Client; sessions: SessionMiddleware }> {
  const sessions = session({ store, adopt, name: 'new_sid', cookie: { maxAge: 86_400_000 } })
  const app = new Koa().use(sessions).use(async (ctx) => {
    if (ctx.path === '/logout') await ctx.session.destroy()
    else if (ctx.session.has('user')) ctx.session.update('visits', (n: number) => n + 1)
    const user: unknown = ctx.session.get('user') ?? 'a guest'
    ctx.body = `${String(user)} ${String(ctx.session.get('visits') ?? 0)} ${ctx.session.isNew ? '' : ctx.session.handle}`
  })
  const { client } = await serve(t, app)
  return { sessions, client: (cookies) => at(client().base, cookies) }
}

/** The same browser at another address: it keeps its cookies, and gets to know those of the other one. */
function at(base: string, { cookies }: Client): Client {
  const client = new Client(base)
  Object.assign(client, { cookies })
  return client
}

const words = async (client: Client, path: string): Promise<string[]> =>
  (await client.get(path)).text.split(' ')

const libraries: Readonly<
  Record<string, (t: ExecutionContext) => Promise<{ old: Client; adopt: Importer; isStored: boolean }>>
> = {
  'koa-session with a store': async (t) => {
    const store = koaStore(redis, 'koa:')
    const adopt = koaSession({ keys: [KEY], store: store as KoaSessionStore })
    return { old: await clientOf(t, koaSessionApp(store)), adopt, isStored: true }
  },
  'koa-session in its cookie': async (t) => ({
    old: await clientOf(t, koaSessionApp()),
    adopt: koaSession({ keys: [KEY] }),
    isStored: false,
  }),
  'koa-generic-session': async (t) => ({
    old: await clientOf(t, koaGenericSessionApp(redis)),
    adopt: koaGenericSession({ keys: [KEY], redis }),
    isStored: true,
  }),
  'express-session with connect-redis': async (t) => ({
    old: await clientOf(t, await connectRedisApp(url)),
    adopt: expressSession({ secret: KEY, redis }),
    isStored: true,
  }),
  'express-session with connect-pg-simple': async (t) => ({
    old: await clientOf(t, connectPgApp(pg)),
    adopt: expressSession({ secret: KEY, postgres: pg }),
    isStored: true,
  }),
  'express-session with express-mysql-session': async (t) => ({
    old: await clientOf(t, await expressMysqlApp(pool)),
    adopt: expressSession({ secret: KEY, mysql: pool }),
    isStored: true,
  }),
}

for (const [name, start] of Object.entries(libraries)) {
  test(`a session of ${name} goes on here, once for six first requests, and a logout is final`, async (t) => {
    const { old, adopt, isStored } = await start(t)
    t.is((await old.get('/login?user=ann')).text, 'ann 1')
    t.is((await old.get('/')).text, 'ann 2')
    const stolen = old.clone()
    const { client } = await newApp(t, new MemoryStore({ maxEntries: Infinity, maxBytes: Infinity }), [adopt])

    const browsers = Array.from({ length: 6 }, () => client(old.clone()))
    const answers = await Promise.all(browsers.map(async (browser) => words(browser, '/')))
    t.deepEqual([...new Set(answers.map(([user]) => user))], ['ann'])
    t.is(new Set(answers.map(([, , handle]) => handle)).size, 1)
    t.deepEqual(
      answers.map(([, visits]) => Number(visits)).toSorted((a, b) => a - b),
      [3, 4, 5, 6, 7, 8],
    )

    // A rollback, and forward again.
    t.is((await old.clone().get('/')).text, 'ann 3')
    const here = client(old)
    t.deepEqual((await words(here, '/')).slice(0, 2), ['ann', '9'])
    t.true(here.cookies.has('new_sid'))
    await here.get('/logout')
    t.deepEqual([...here.cookies.keys()], [], 'no cookie is left')
    t.deepEqual((await words(client(stolen), '/')).slice(0, 2), ['a', 'guest'])
    if (isStored) t.is((await at(old.base, stolen).get('/')).text, 'a guest 0')
  })
}

test(`${USERS} users of two libraries: the library and the engine are changed under load, rolled back, and changed again`, async (t) => {
  allowLongRun(t, 900_000)
  const store = koaStore(redis, 'many:')
  const oldApps = [await clientOf(t, koaSessionApp(store)), await clientOf(t, await connectRedisApp(url))]
  const adopt = [
    koaSession({ keys: [KEY], store: store as KoaSessionStore }),
    expressSession({ secret: KEY, redis }),
  ]
  interface User {
    readonly name: string
    readonly old: Client
    readonly stolen: Client
    readonly cookies: Client
    handle: string | undefined
    hasLeft: boolean
  }
  const users: User[] = []
  for (let n = 0; n < USERS; n += 1) {
    const app = oldApps[n % 2] as Client
    const cookies = new Client(app.base)
    t.is((await cookies.get(`/login?user=user${n}`)).text, `user${n} 1`)
    users.push({
      name: `user${n}`,
      old: app,
      cookies,
      stolen: cookies.clone(),
      handle: undefined,
      hasLeft: false,
    })
  }
  const lost: string[] = []
  const note = (problem: string): void => void lost.push(problem)

  /** Each user comes twice at once, in batches as under load; some leave. */
  const load = async (phase: string, base: string, leaves: (n: number) => boolean): Promise<void> => {
    for (let from = 0; from < users.length; from += 20) {
      const batch = users.slice(from, from + 20)
      await Promise.all(
        batch.map(async (user, at20) => {
          const n = from + at20
          if (user.hasLeft) {
            const [who] = await words(at(base, user.stolen.clone()), '/')
            if (who !== 'a') note(`${phase}: ${user.name} is back as ${who}`)
            return
          }
          const client = at(base, user.cookies)
          const both = await Promise.all([words(client, '/'), words(client, '/')])
          for (const [who, , handle] of both) {
            if (who !== user.name) note(`${phase}: ${user.name} is ${who}`)
            user.handle ??= handle
            if (handle !== user.handle) note(`${phase}: ${user.name} has two sessions`)
          }
          if (!leaves(n)) return
          await client.get('/logout')
          user.hasLeft = true
        }),
      )
    }
  }
  const rolledBack = async (): Promise<void> => {
    for (const user of users) {
      const { text } = await at(user.old.base, user.hasLeft ? user.stolen : user.cookies).get('/')
      const [who] = text.split(' ')
      if (user.hasLeft ? who !== 'a' : who !== user.name) note(`rolled back: ${user.name} is ${who}`)
    }
  }

  const next = new RedisStore({ client: redis, prefix: 'new:' })
  const postgres = new PostgresStore({ client: pg, table: 'moved_session' })
  const until = new Date(Date.now() + 86_400_000)
  const phases: readonly [string, () => Store, ((n: number) => boolean) | undefined][] = [
    ['library', () => next, (n) => n % 10 === 3],
    [
      'both stores, the old one first',
      () => migrate({ to: next, from: postgres, until }),
      (n) => n % 10 === 4,
    ],
    ['both stores', () => migrate({ to: postgres, from: next, until }), (n) => n % 10 === 5],
    ['engine', () => postgres, () => false],
    ['engine back', () => migrate({ to: next, from: postgres, until }), () => false],
    ['engine again', () => migrate({ to: postgres, from: next, until }), (n) => n % 10 === 6],
  ]
  for (const [phase, storeOf, leaves = () => false] of phases) {
    const { client } = await newApp(t, storeOf(), adopt)
    const { base } = client(users[0]?.cookies as Client)
    await load(phase, base, leaves)
    if (phase === 'library' || phase === 'engine') await rolledBack()
  }
  t.deepEqual(lost, [])
  t.is(users.filter(({ hasLeft }) => hasLeft).length, Math.floor(USERS / 10) * 4)
})
