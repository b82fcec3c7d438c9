// `ctx.session` as the object that koa-session, koa-generic-session and express-session have, over HTTP.
import { inspect } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import Koa, { type Context } from 'koa'
import { session, type CompatOptions, type SessionObject } from '../../src/compat/index.ts'
import { createRegistry, requireFresh, session as typedSession, SessionError } from '../../src/index.ts'
import { serve, type Client } from '../support/client.ts'

type Route = (ctx: CompatTestContext) => unknown
type CompatTestContext = Context & {
  get session(): SessionObject
  set session(values: object | null | undefined)
  typedSession: import('../../src/index.ts').Session
}

interface Application {
  readonly client: Client
  readonly app: Koa
  readonly manager: ReturnType<typeof session>['manager']
}

/** Serves one route for each path; what a route returns is the body, as JSON. */
async function appOf(
  t: ExecutionContext,
  routes: Readonly<Record<string, Route>>,
  options: CompatOptions = {},
): Promise<Application> {
  const app = new Koa()
  const middleware = session(options)
  app.use(async (ctx, next) => {
    try {
      await next()
    } catch (error) {
      if (!(error instanceof SessionError)) throw error
      ctx.status = error.status
      ctx.body = `${error.code}: ${error.message}`
    }
  })
  app.use(middleware as unknown as Koa.Middleware)
  app.use(async (ctx) => {
    const result = await routes[ctx.path]?.(ctx as unknown as CompatTestContext)
    ctx.body = result === undefined ? 'undefined' : JSON.stringify(result)
  })
  const { client } = await serve(t, app)
  return { client: client(), app, manager: middleware.manager }
}

async function read(client: Client, path: string): Promise<unknown> {
  const { status, text } = await client.get(path)
  if (status !== 200) throw new Error(`${status} ${text}`)
  return text === 'undefined' ? undefined : (JSON.parse(text) as unknown)
}

test('values are assigned, counted, changed in place and deleted as properties, from request to request', async (t) => {
  const { client } = await appOf(t, {
    '/write': ({ session: s }) => {
      s['user'] = 'ann'
      s['views']++
      s['views'] = (s['views'] || 0) + 1
      ;(s['cart'] ??= []).push('tea')
      Object.assign(s, { tries: 0, gone: true })
    },
    '/change': ({ session: s }) => {
      s['views']++
      s['cart'].push('milk')
      delete s['gone']
      const { user } = s
      return user as string
    },
    '/read': ({ session: s }) => ({ ...s }),
  })
  await client.get('/write')
  t.is(await read(client, '/change'), 'ann')
  t.deepEqual(await read(client, '/read'), { user: 'ann', views: 2, cart: ['tea', 'milk'], tries: 0 })
})

test('the object can be asked, listed and printed like any object', async (t) => {
  const { client } = await appOf(t, {
    '/': ({ session: s }) => {
      s['a'] = 1
      s['b'] = undefined
      const listed: string[] = []
      for (const key in s) listed.push(key)
      return [
        Object.keys(s),
        listed,
        'a' in s,
        'b' in s,
        'c' in s,
        'save' in s,
        Object.hasOwn(s, 'a'),
        s.hasOwnProperty('save'),
        s.length,
        s.populated,
        s.isNew,
        JSON.stringify(s),
        inspect(s),
        Object.prototype.toString.call(s),
        s['c'] === undefined,
        s['request'] === undefined, // no part of the library
        s['then'] === undefined,
      ]
    },
  })
  t.deepEqual(await read(client, '/'), [
    ['a', 'b'],
    ['a', 'b'],
    true,
    true,
    false,
    true,
    true,
    false,
    2,
    true,
    true,
    '{"a":1}',
    '{ a: 1, b: undefined }',
    '[object Object]',
    true,
    true,
    true,
  ])
})

test('a stored key wins over the name of a method', async (t) => {
  const { client } = await appOf(t, {
    '/write': ({ session: s }) =>
      Object.assign(s, { save: 'a draft', toJSON: 7, constructor: 'Gaudí' }).length,
    '/read': ({ session: s }) => [s['save'], s['toJSON'], s['constructor'], typeof s.regenerate],
  })
  await client.get('/write')
  t.deepEqual(await read(client, '/read'), ['a draft', 7, 'Gaudí', 'function'])
})

test('`ctx.session = null` ends the session, and an object that is assigned replaces all its keys', async (t) => {
  const { client, manager } = await appOf(t, {
    '/write': (ctx) => {
      ctx.session['user'] = 'ann'
      ctx.session['theme'] = 'dark'
    },
    '/replace': (ctx) => {
      const old = ctx.session
      ctx.session = { user: 'bob', callback: () => {}, _request: 1 }
      return [old['theme'], ctx.session['user'], ctx.session['_request'], ctx.session.isNew]
    },
    '/same': (ctx) => {
      const { session: same } = ctx
      ctx.session = same
      return ctx.session['user'] as string
    },
    '/read': (ctx) => ({ ...ctx.session }),
    '/logout': (ctx) => {
      ctx.session = null
      return [ctx.session, ctx.session === null]
    },
    '/exchange': (ctx) => {
      ctx.session = null
      ctx.session = { user: 'eve' }
    },
    '/number': (ctx) => {
      ctx.session = 5 as never
    },
  })
  await client.get('/write')
  t.deepEqual(await read(client, '/replace'), ['dark', 'bob', 1, false])
  t.is(await read(client, '/same'), 'bob')
  t.deepEqual(await read(client, '/read'), { user: 'bob' })
  const stolen = client.clone()
  t.deepEqual(await read(client, '/logout'), [null, true])
  t.is(client.cookies.size, 0)
  t.deepEqual(await read(stolen, '/read'), {})
  t.is(await manager.count(), 0)

  await client.get('/exchange')
  t.deepEqual(await read(client, '/read'), { user: 'eve' })
  const { status, text } = await client.get('/number')
  t.is(status, 500)
  t.regex(text, /null or an object/)
})

class Point {
  readonly x: number
  constructor(x: number) {
    this.x = x
  }
  get double(): number {
    return this.x * 2
  }
}

class Model {
  readonly name = 'ann'
  readonly save = (): void => {}
  toJSON(): object {
    return { name: this.name, at: new Date(0) }
  }
}

test('values are kept exactly where the session can, and by the rules of JSON where it cannot', async (t) => {
  const registry = createRegistry()
  registry.registerType(Point, { name: 'Point' })
  const { client } = await appOf(
    t,
    {
      '/write': ({ session: s }) => {
        s['when'] = new Date(5)
        s['map'] = new Map([[1, new Set([2])]])
        s['point'] = new Point(21)
        s['big'] = 7n
        s['model'] = new Model()
        s['list'] = [1]
        s['list'].push(() => {}, Symbol('s'), new Model())
        s['call'] = (): void => {}
        s['_private'] = 'x'
        return [s['model'] instanceof Model, typeof s['call'], s['_private']]
      },
      '/read': ({ session: s }) => [
        s['when'] instanceof Date && s['when'].getTime(),
        s['map'] instanceof Map && s['map'].get(1).has(2),
        s['point'] instanceof Point && s['point'].double,
        s['big'] === 7n,
        s['model'],
        s['list'],
        s['call'] === undefined,
        s['_private'] === undefined,
      ],
      '/change': ({ session: s }) => {
        const model = new Model()
        s['late'] = model
        Object.assign(model, { name: 'eve' })
        s['model'].extra = (): void => {}
        s['model'].name = 'bob'
      },
      '/changed': ({ session: s }) => [s['late'].name, s['model']],
      '/cycle': ({ session: s }) => {
        const loop: Record<string, unknown> = { run: () => {} }
        loop['self'] = loop
        s['loop'] = loop
      },
    },
    { registry },
  )
  t.deepEqual(await read(client, '/write'), [true, 'function', 'x'])
  const model = { name: 'ann', at: '1970-01-01T00:00:00.000Z' }
  t.deepEqual(await read(client, '/read'), [5, true, 42, true, model, [1, null, null, model], true, true])
  await client.get('/change')
  t.deepEqual(await read(client, '/changed'), ['eve', { ...model, name: 'bob' }])
  const { status, text } = await client.get('/cycle')
  t.is(status, 500)
  t.regex(text, /^ERR_SESSION_VALUE: loop/)
})

test('regenerate() keeps the data under a new ID, by callback or promise, and the old ID opens nothing', async (t) => {
  const { client } = await appOf(t, {
    '/login': async (ctx) => {
      ctx.session['basket'] = 3
      await new Promise<void>((resolve, reject) => {
        const result = ctx.session.regenerate((error) => (error === undefined ? resolve() : reject(error)))
        if (result !== undefined) reject(new Error('with a callback it returns nothing'))
      })
      ctx.session['user'] = 'ann'
      await ctx.session.save()
      return ctx.session.externalKey
    },
    '/again': async (ctx) => {
      await ctx.session.regenerate()
      return ctx.session.externalKey
    },
    '/read': (ctx) => ({ ...ctx.session }),
  })
  await client.get('/login')
  const old = client.clone()
  const next = String(await read(client, '/again'))
  t.is(client.cookies.get('sid'), next)
  t.not(old.cookies.get('sid'), next)
  t.deepEqual(await read(client, '/read'), { basket: 3, user: 'ann' })
  t.deepEqual(await read(old, '/read'), {})
})

test('a save that finds the session ended is an error to its callback, and to its promise', async (t) => {
  let end: (() => Promise<unknown>) | undefined
  const { client, manager } = await appOf(t, {
    '/write': ({ session: s }) => {
      s['user'] = 'ann'
    },
    '/callback': async ({ session: s }) => {
      await end?.()
      s['n'] = 1
      const error = await new Promise<unknown>((resolve) => void s.save(resolve))
      return error instanceof SessionError && [error.code, error.status]
    },
    '/promise': async ({ session: s }) => {
      await end?.()
      s['n'] = 1
      return (s.save() as Promise<void>).then(
        () => 'stored',
        (error: unknown) => error instanceof SessionError && error.status,
      )
    },
  })
  await client.get('/write')
  end = () => manager.destroy(client.cookies.get('sid') ?? '')
  t.deepEqual(await read(client, '/callback'), ['ERR_SESSION_STATE', 409])
  await client.get('/write')
  t.is(await read(client, '/promise'), 409)
})

test('the typed session is the same session: both see and store one record', async (t) => {
  const { client } = await appOf(t, {
    '/write': (ctx) => {
      ctx.session['a'] = 1
      ctx.typedSession.set('b', new Map([[1, 2]]))
      ctx.typedSession.update('a', (n: number) => n + 1)
      return [ctx.session['a'], ctx.session['b'] instanceof Map]
    },
    '/read': (ctx) => [ctx.typedSession.get('a'), ctx.session['a'], [...ctx.typedSession.keys()]],
    '/refused': (ctx) => {
      ctx.typedSession.set('model', new Model())
    },
    '/sign-in': (ctx) => ctx.typedSession.signIn('ann'),
  })
  t.deepEqual(await read(client, '/write'), [2, true])
  t.deepEqual(await read(client, '/read'), [2, 2, ['a', 'b']])
  t.regex((await client.get('/refused')).text, /^ERR_SESSION_VALUE/)
  await client.get('/sign-in')
  t.deepEqual(await read(client, '/read'), [2, 2, ['a', 'b']])
})

test('requireFresh looks at the typed session beside the object', async (t) => {
  const app = new Koa()
  app.use(session() as unknown as Koa.Middleware)
  app.use(async (ctx, next) => {
    if (ctx.path !== '/login') return next()
    ctx['typedSession'].signIn('ann')
    ctx['session'].owner = 'a key of that name'
    ctx.body = 'in'
  })
  app.use(requireFresh(300_000))
  app.use((ctx) => {
    ctx.body = 'changed'
  })
  const { client } = await serve(t, app)
  const ann = client()
  t.is((await ann.get('/')).status, 401)
  await ann.get('/login')
  t.is((await ann.get('/')).text, 'changed')
})

test('of 20 requests at once that change one value none is refused, and typed updates are exact', async (t) => {
  const { client } = await appOf(t, {
    '/write': async (ctx) => {
      ctx.session['views'] = (ctx.session['views'] ?? 0) + 1
      ctx.typedSession.update('exact', (n = 0) => n + 1)
      await new Promise((resolve) => setImmediate(resolve))
    },
    '/read': (ctx) => [ctx.session['views'] >= 2, ctx.session['exact']],
  })
  await client.get('/write')
  const answers = await Promise.all(Array.from({ length: 20 }, () => client.get('/write')))
  t.deepEqual([...new Set(answers.map(({ status }) => status))], [200])
  t.deepEqual(await read(client, '/read'), [true, 21])
})

test('an object that was read, and that a save has replaced by a newer one, can be changed: the last one wins', async (t) => {
  let meanwhile: (() => Promise<unknown>) | undefined
  const { client, manager } = await appOf(t, {
    '/write': ({ session: s }) => {
      s['user'] = { name: 'ann' }
    },
    '/change': async ({ session: s }) => {
      const user = s['user'] as { name: string }
      await meanwhile?.()
      s['other'] = 1
      await s.save()
      user.name = 'bob'
    },
    '/read': ({ session: s }) => s['user'].name as string,
  })
  await client.get('/write')
  meanwhile = async () => {
    const other = await manager.open(client.cookies.get('sid'))
    other.set('user', { name: 'eve' })
    await other.commit()
  }
  t.is((await client.get('/change')).status, 200)
  t.is(await read(client, '/read'), 'bob')
})

test('without autoCommit only save() stores, and with `valid` a session that may not be used is ended', async (t) => {
  const told: string[] = []
  const { client, app, manager } = await appOf(
    t,
    {
      '/drop': ({ session: s }) => {
        s['a'] = 1
      },
      '/keep': async ({ session: s }) => {
        s['a'] = 2
        await s.manuallyCommit()
        s['b'] = 3
      },
      '/block': async ({ session: s }) => {
        s['blocked'] = true
        await s.save()
      },
      '/read': ({ session: s }) => ({ ...s }),
    },
    {
      autoCommit: false,
      valid: (_ctx, s) => s['blocked'] !== true,
      beforeSave: (_ctx, s) => (s['saved'] = 1),
    },
  )
  for (const event of ['missed', 'invalid']) app.on(`session:${event}`, () => told.push(event))
  await client.get('/drop')
  t.is(client.cookies.size, 0)
  await client.get('/keep')
  t.deepEqual(await read(client, '/read'), { a: 2, saved: 1 })
  await client.get('/block')
  const blocked = client.clone()
  t.deepEqual(await read(client, '/read'), {})
  t.is(await manager.count(), 0)
  t.deepEqual(await read(blocked, '/read'), {})
  t.deepEqual(told, ['invalid', 'missed'])
})

test('a handler that fails has stored nothing, as in the rest of the library, but a logout holds', async (t) => {
  const { client } = await appOf(t, {
    '/write': ({ session: s }) => {
      s['user'] = 'ann'
    },
    '/fail': ({ session: s }) => {
      s['user'] = 'eve'
      throw new TypeError('a bug')
    },
    '/refuse': (ctx) => {
      ctx.session['tries'] = { n: 1, at: new Model() }
      ctx.throw(401)
    },
    '/logout': (ctx) => {
      ctx.session = null
      throw new TypeError('a bug')
    },
    '/read': ({ session: s }) => ({ ...s }),
  })
  await client.get('/write')
  t.is((await client.get('/fail')).status, 500)
  t.deepEqual(await read(client, '/read'), { user: 'ann' })
  t.is((await client.get('/refuse')).status, 401)
  t.like(await read(client, '/read'), { user: 'ann', tries: { n: 1, at: { name: 'ann' } } })
  const stolen = client.clone()
  t.is((await client.get('/logout')).status, 500)
  t.deepEqual(await read(stolen, '/read'), {})
})

test('maxAge of the session and of ctx.sessionOptions is the life of its cookie', async (t) => {
  const { client } = await appOf(t, {
    '/remember': (ctx) => {
      ctx.session['user'] = 'ann'
      ctx.session.maxAge = 600_000
      return [ctx.session.maxAge, ctx['sessionOptions'].maxAge, ctx['sessionOptions'].key]
    },
    '/forget': (ctx) => {
      ctx['sessionOptions'].maxAge = 'session'
      return ctx.session.maxAge
    },
    '/wrong': (ctx) => {
      ctx.session.maxAge = -1
    },
  })
  const remember = await client.get('/remember')
  t.is(remember.text, '[600000,600000,"sid"]')
  t.regex(remember.setCookies.join(), /Max-Age=600/)
  const forget = await client.get('/forget')
  t.is(forget.text, '"session"')
  t.notRegex(forget.setCookies.join(), /Max-Age/)
  t.regex((await client.get('/wrong')).text, /^ERR_SESSION_OPTIONS/)
})

test("'express-session': req.session, its cookie and its callbacks, and an empty session after regenerate()", async (t) => {
  type Request = { session: SessionObject; sessionID: string }
  const requestOf = (ctx: CompatTestContext): Request => ctx.req as unknown as Request
  const { client, manager } = await appOf(
    t,
    {
      '/write': (ctx) => {
        const { session: s } = requestOf(ctx)
        s['user'] = 'ann'
        s['_csrf'] = 'c'
        s['cookie'].maxAge = 600_000
        return [
          s === ctx.session,
          s['id'] === requestOf(ctx).sessionID,
          s['touch']() === s,
          s['cookie'].path,
          s['cookie'].maxAge,
          s['cookie'].expires instanceof Date,
        ]
      },
      '/login': async (ctx) => {
        const req = requestOf(ctx)
        const before = req.session
        const id = req.sessionID
        await new Promise((resolve) => req.session.regenerate(resolve))
        const isEmpty = Object.keys(req.session).length === 0
        Object.assign(req.session, before) // keepSessionInfo
        before['user'] = 'not stored'
        const chained = req.session.save(() => {}) === req.session
        return [isEmpty, before === req.session, req.sessionID !== id, chained]
      },
      '/read': (ctx) => ({ ...requestOf(ctx).session }),
      '/reload': async (ctx) => {
        const req = requestOf(ctx)
        req.session['user'] = 'dropped'
        const other = await manager.open(req.sessionID)
        other.set('user', 'bob')
        await other.commit()
        await new Promise((resolve) => req.session.reload(resolve))
        req.session['after'] = 1
        return req.session['user'] as string
      },
      '/assign': (ctx) => {
        requestOf(ctx).session['id'] = 5
      },
      '/destroy': async (ctx) => {
        const req = requestOf(ctx)
        const error = await new Promise<unknown>((resolve) => req.session.destroy(resolve))
        return [error === undefined, req.session === undefined]
      },
      '/unset': (ctx) => {
        requestOf(ctx).session = null as never
      },
    },
    { shape: 'express-session' },
  )
  t.deepEqual(await read(client, '/write'), [true, true, true, '/', 600_000, true])
  t.deepEqual(await read(client, '/login'), [true, false, true, true])
  t.deepEqual(await read(client, '/read'), { user: 'ann', _csrf: 'c' })
  t.is(await read(client, '/reload'), 'bob')
  t.deepEqual(await read(client, '/read'), { user: 'bob', _csrf: 'c', after: 1 })
  t.regex((await client.get('/assign')).text, /cannot be assigned/)
  t.deepEqual(await read(client, '/destroy'), [true, true])
  t.is(await manager.count(), 0)
  await client.get('/write')
  await client.get('/unset')
  t.deepEqual(await read(client, '/read'), {})
})

test("'koa-generic-session': the ID and the functions of the context", async (t) => {
  const { client } = await appOf(
    t,
    {
      '/write': async (ctx) => {
        ctx.session['user'] = 'ann'
        ctx.session['cookie'] = { maxAge: 600_000 }
        await ctx['saveSession']()
        return [ctx['sessionId'] === ctx.typedSession.id, ctx.session['cookie'].maxAge]
      },
      '/login': async (ctx) => {
        const id: unknown = ctx['sessionId']
        await ctx['regenerateSession']()
        const isEmpty = ctx.session.length === 0
        ctx.session['user'] = 'bob'
        return [isEmpty, id !== ctx['sessionId']]
      },
      '/read': (ctx) => ({ ...ctx.session }),
    },
    { shape: 'koa-generic-session' },
  )
  t.deepEqual(await read(client, '/write'), [true, 600_000])
  t.deepEqual(await read(client, '/login'), [true, true])
  t.deepEqual(await read(client, '/read'), { user: 'bob' })
})

test('options of the other libraries are refused, and the sentence says where they are here', (t) => {
  const given: readonly [CompatOptions | object, RegExp][] = [
    [{ key: 'koa.sess' }, /key: is `name`/],
    [{ maxAge: 5 }, /maxAge: .*idleTimeout/],
    [{ rolling: true }, /rolling: .*always/],
    [{ signed: true }, /signed: .*not needed/],
    [{ secret: 's' }, /secret: .*not needed/],
    [{ keys: ['k'] }, /keys: /],
    [{ store: { get() {}, set() {}, destroy() {} } }, /store: .*adopt/],
    [{ shape: 'koa' }, /shape: must be one of koa-session/],
    [{ autoCommit: 1 }, /autoCommit: must be true or false/],
    [{ property: 'session' }, /property: /],
    [{ wrong: 1 }, /wrong: is not a setting/],
    [new Koa(), /without the application/],
  ]
  for (const [options, text] of given) {
    const error = t.throws(() => session(options as CompatOptions), { instanceOf: SessionError })
    t.is(error?.code, 'ERR_SESSION_OPTIONS')
    t.regex(error?.message ?? '', text)
  }
  t.notThrows(() => session({ keys: { views: { isolation: 'snapshot' } } }))
})

test('beside another middleware that has ctx.session the first request says so', async (t) => {
  const app = new Koa()
  app.use(typedSession() as Koa.Middleware).use(session() as unknown as Koa.Middleware)
  const errors: unknown[] = []
  app.on('error', (error) => errors.push(error))
  const { client } = await serve(t, app)
  t.is((await client().get('/')).status, 500)
  t.regex(String(errors[0]), /already|two session/)
})
