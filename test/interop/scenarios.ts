// What programs do with packages that expect `ctx.session` as an object. Each scenario returns the facts that its client has seen.
import type { Context } from 'koa'
import type Koa from 'koa'
import type { Client } from '../support/client.ts'
import {
  bodyParser,
  connect,
  connectFlash,
  Csrf,
  csrfSync,
  grant,
  koaFlash,
  LocalStrategy,
  newPassport,
  OAuth2Strategy,
  OpenIdStrategy,
  type Connect,
  type ConnectRequest,
  type Passport,
  type PassportContext,
} from './packages.ts'

export interface Places {
  /** Where the application listens. */
  readonly app: () => string
  /** Where the identity provider listens. */
  readonly provider: () => string
}

export interface Scenario {
  readonly shape?: 'express-session'
  /** Mounts the packages, after the session. */
  readonly mount: (app: Koa, places: Places) => void
  readonly drive: (client: Client) => Promise<unknown>
  /** What the client sees. */
  readonly facts: readonly unknown[]
}

const ann = { name: 'ann' }

type Done = (error: null, user: object | false) => void

function passportFor(version: 4 | 6): Passport {
  const passport = newPassport[version]()
  passport.serializeUser((user, done) => done(null, user.name))
  passport.deserializeUser((name, done) => done(null, { name }))
  return passport
}

function routes(app: Koa, table: Readonly<Record<string, (ctx: PassportContext) => unknown>>): void {
  app.use(async (ctx: Context, next) => {
    const route = table[ctx.path]
    if (route === undefined) return next()
    const result = await route(ctx as PassportContext)
    if (result !== undefined) ctx.body = result
  })
}

function mountPassport(app: Koa, passport: Passport): void {
  app.use(bodyParser())
  app.use(passport.initialize())
  app.use(passport.session())
  routes(app, {
    '/me': (ctx) => (ctx.isAuthenticated() ? (ctx.state['user'] as object) : 'a guest'),
    '/logout': async (ctx) => {
      await ctx.logout()
      return 'out'
    },
  })
}

/** Follows redirects between the application and the provider. */
async function follow(client: Client, path: string): Promise<string> {
  let answer = await client.get(path)
  for (let hops = 0; hops < 6 && answer.status === 302; hops += 1) {
    const to = answer.headers.get('location') ?? ''
    const url = new URL(to, client.base)
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    answer = await (url.origin === client.base
      ? client.get(url.pathname + url.search)
      : fetch(url, { redirect: 'manual' }).then(async (response) => ({
          status: response.status,
          text: await response.text(),
          headers: response.headers,
          setCookies: [],
        })))
  }
  return `${answer.status} ${answer.text}`
}

const text = async (client: Client, path: string, init?: RequestInit): Promise<string> => {
  const { status, text: body } = await client.get(path, init)
  return `${status} ${body}`
}

const form = (fields: Readonly<Record<string, string>>): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
  body: new URLSearchParams(fields).toString(),
})

function local(version: 4 | 6): Scenario {
  return {
    mount(app) {
      const passport = passportFor(version)
      passport.use(
        new LocalStrategy((name: string, password: string, done: Done) =>
          done(null, password === 'secret' && { name }),
        ),
      )
      mountPassport(app, passport)
      app.use(async (ctx, next) => {
        if (ctx.path !== '/login') return next()
        return passport.authenticate('local', { successRedirect: '/me', failureRedirect: '/no' })(ctx, next)
      })
    },
    async drive(client) {
      const login = (password: string): Promise<string> =>
        text(client, '/login', form({ username: 'ann', password }))
      const facts = [await text(client, '/me'), await login('wrong'), await text(client, '/me')]
      const before = client.clone()
      facts.push(await login('secret'), await text(client, '/me'), await text(before, '/me'))
      const stolen = client.clone()
      facts.push(await text(client, '/logout'), await text(client, '/me'), await text(stolen, '/me'))
      return facts
    },
    facts: [
      '200 a guest',
      '302 Redirecting to /no.',
      '200 a guest',
      '302 Redirecting to /me.',
      '200 {"name":"ann"}',
      '200 a guest',
      '200 out',
      '200 a guest',
      '200 a guest',
    ],
  }
}

function oauth2(version: 4 | 6): Scenario {
  return {
    mount(app, { app: here, provider }) {
      const passport = passportFor(version)
      mountPassport(app, passport)
      const strategy = new OAuth2Strategy(
        {
          authorizationURL: `${provider()}/authorize`,
          tokenURL: `${provider()}/token`,
          clientID: 'client',
          clientSecret: 'secret',
          callbackURL: `${here()}/callback`,
          pkce: true,
          state: true,
        },
        (_access: string, _refresh: string, _profile: object, done: Done) => done(null, ann),
      )
      passport.use(strategy)
      const authenticate = passport.authenticate('oauth2', { successRedirect: '/me' })
      app.use(async (ctx, next) =>
        ctx.path === '/login' || ctx.path === '/callback' ? authenticate(ctx, next) : next(),
      )
    },
    async drive(client) {
      const facts = [await follow(client, '/login'), await text(client, '/me')]
      facts.push(await text(client, '/callback?code=x&state=forged'))
      return facts
    },
    facts: ['200 {"name":"ann"}', '200 {"name":"ann"}', '403 Forbidden'],
  }
}

function openId(version: 4 | 6): Scenario {
  return {
    mount(app, { app: here, provider }) {
      const passport = passportFor(version)
      mountPassport(app, passport)
      passport.use(
        new OpenIdStrategy(
          {
            issuer: provider(),
            authorizationURL: `${provider()}/authorize`,
            tokenURL: `${provider()}/token`,
            clientID: 'client',
            clientSecret: 'secret',
            callbackURL: `${here()}/callback`,
            nonce: true,
            skipUserProfile: true,
          },
          (_issuer: string, _profile: object, done: Done) => done(null, ann),
        ),
      )
      const authenticate = passport.authenticate('openidconnect', { successRedirect: '/me' })
      app.use(async (ctx, next) =>
        ctx.path === '/login' || ctx.path === '/callback' ? authenticate(ctx, next) : next(),
      )
    },
    drive: async (client) => [await follow(client, '/login'), await text(client, '/me')],
    facts: ['200 {"name":"ann"}', '200 {"name":"ann"}'],
  }
}

/** What a program with Express middleware writes, whichever session it has. */
function express(app: Koa, ...middleware: readonly Connect[]): void {
  app.use(async (ctx, next) => {
    if (!('session' in ctx.req)) Object.assign(ctx.req, { session: ctx['session'] as unknown })
    Object.assign(ctx.req, { body: ctx.request.body })
    await next()
  })
  for (const each of middleware) app.use(connect(each))
}

const requestOf = (ctx: Context): ConnectRequest => ctx.req as unknown as ConnectRequest

const sync = csrfSync()

export const scenarios: Readonly<Record<string, Scenario>> = {
  'koa-passport 6, local': local(6),
  'koa-passport 4, local': local(4),
  'koa-passport 6, OAuth 2 with PKCE': oauth2(6),
  'koa-passport 4, OAuth 2 with PKCE': oauth2(4),
  'koa-passport 6, OpenID Connect': openId(6),
  'koa-passport 4, OpenID Connect': openId(4),
  grant: {
    mount(app, { app: here, provider }) {
      app.use(bodyParser())
      app.use(
        grant({
          defaults: { origin: here(), transport: 'session', state: true },
          loopback: {
            oauth: 2,
            authorize_url: `${provider()}/authorize`,
            access_url: `${provider()}/token`,
            key: 'client',
            secret: 'secret',
            pkce: true,
            scope: ['openid'],
            nonce: true,
            callback: '/done',
          },
        }),
      )
      routes(app, {
        '/done': (ctx) => {
          const { response } = (ctx['session'] as { grant: { response: { access_token: string } } }).grant
          return response.access_token
        },
      })
    },
    drive: async (client) => [await follow(client, '/connect/loopback'), await text(client, '/done')],
    facts: ['200 token of ann', '200 token of ann'],
  },
  'koa-csrf': {
    mount(app) {
      app.use(bodyParser())
      app.use(new Csrf())
      routes(app, { '/form': (ctx) => ctx.state['_csrf'] as string, '/send': () => 'sent' })
    },
    async drive(client) {
      const { status, text: token } = await client.get('/form')
      const other = new (client.constructor as new (base: string) => Client)(client.base)
      return [
        status,
        await text(client, '/send', form({ _csrf: token })),
        await text(client, '/send', form({ _csrf: 'wrong' })),
        await text(other, '/send', form({ _csrf: token })),
      ]
    },
    facts: [200, '200 sent', '403 Invalid CSRF token', '403 Invalid CSRF token'],
  },
  'koa-better-flash': {
    mount(app) {
      app.use(koaFlash())
      type Flash = { flash: (type: string, message?: string) => unknown }
      const flashOf = (ctx: Context): Flash => ctx as unknown as Flash
      routes(app, {
        '/add': (ctx) => flashOf(ctx).flash('info', `seen ${ctx.query['n'] as string}`),
        '/read': (ctx) => flashOf(ctx).flash('info'),
      })
    },
    drive: async (client) => [
      await text(client, '/add?n=1'),
      await text(client, '/add?n=2'),
      await text(client, '/read'),
      await text(client, '/add?n=3'),
    ],
    facts: ['200 ["seen 1"]', '200 ["seen 1","seen 2"]', '200 ["seen 1","seen 2"]', '200 ["seen 3"]'],
  },
  'koa-connect with connect-flash': {
    shape: 'express-session',
    mount(app) {
      express(app, connectFlash())
      routes(app, {
        '/add': (ctx) => String(requestOf(ctx).flash('info', `seen ${ctx.query['n'] as string}`)),
        '/read': (ctx) => requestOf(ctx).flash('info'),
      })
    },
    drive: async (client) => [
      await text(client, '/add?n=1'),
      await text(client, '/add?n=2'),
      await text(client, '/read'),
      await text(client, '/read'),
    ],
    facts: ['200 1', '200 2', '200 ["seen 1","seen 2"]', '200 []'],
  },
  'koa-connect with csrf-sync': {
    shape: 'express-session',
    mount(app) {
      app.use(bodyParser())
      app.use(async (ctx, next) => {
        try {
          await next()
        } catch (error) {
          if ((error as { code?: unknown }).code !== 'EBADCSRFTOKEN') throw error
          ctx.status = 403
        }
      })
      express(app)
      routes(app, { '/form': (ctx) => sync.generateToken(ctx.req) })
      express(app, sync.csrfSynchronisedProtection)
      routes(app, { '/send': () => 'sent' })
    },
    async drive(client) {
      const { status, text: token } = await client.get('/form')
      const send = (value: string): Promise<string> =>
        text(client, '/send', { method: 'POST', headers: { 'x-csrf-token': value } })
      return [status, await send(token), await send('wrong')]
    },
    facts: [200, '200 sent', '403 Forbidden'],
  },
}
