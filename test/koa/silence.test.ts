// "No silence" in a Koa application: what would lose a change behind a 200 is an error, and no error listener ends the process.
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { runInThisContext } from 'node:vm'
import test, { type ExecutionContext } from 'ava'
import Koa, { type Context, type Next } from 'koa'
import {
  createRegistry,
  session,
  SessionError,
  type Session,
  type SessionEvent,
  type SessionOptions,
} from '../../src/index.ts'
import { serve, type Client } from '../support/client.ts'
import { withoutHint } from '../support/misuse.ts'
import { HeldStore } from '../support/held-store.ts'

type Ctx = Context & { session: Session }
type Handler = (ctx: Ctx, fixture: Fixture) => unknown

interface Fixture {
  readonly koa: Koa
  readonly store: HeldStore
  readonly errors: unknown[]
  readonly events: SessionEvent[]
  readonly visitor: Client
  /** The contexts of all requests so far. */
  readonly contexts: Ctx[]
}

interface Setup {
  readonly options?: SessionOptions
  readonly before?: (ctx: Ctx, next: Next) => unknown
  readonly after?: (ctx: Ctx, next: Next) => unknown
}

/** An application in which `/set` stores the key `user`, `/get` returns all, and `/` runs the handler. */
async function app(t: ExecutionContext, handler: Handler, setup: Setup = {}): Promise<Fixture> {
  const store = new HeldStore()
  const [errors, events, contexts]: [unknown[], SessionEvent[], Ctx[]] = [[], [], []]
  const koa = new Koa()
  koa.on('error', (error) => errors.push(error))
  const use = (middleware: Setup['before']): void => {
    if (middleware !== undefined) koa.use(async (ctx, next) => middleware(ctx as Ctx, next)) // as mounted here
  }
  use(setup.before)
  koa.use(session({ store, onEvent: (event) => events.push(event), ...setup.options }))
  use(setup.after)
  koa.use(async (context) => {
    const ctx = context as Ctx // as mounted here
    contexts.push(ctx)
    ctx.body = 'done'
    if (ctx.path === '/set') ctx.session.set('user', 'ann')
    else if (ctx.path === '/get') ctx.body = Object.fromEntries(ctx.session)
    else await handler(ctx, fixture)
  })
  const { client } = await serve(t, koa)
  const fixture: Fixture = { koa, store, errors, events, visitor: client(), contexts }
  return fixture
}

const stored = async ({ visitor }: Fixture): Promise<unknown> => JSON.parse((await visitor.get('/get')).text)

function sentenceOf(error: unknown): string {
  return error instanceof SessionError && error.code === 'ERR_SESSION_STATE'
    ? withoutHint(error.message)
    : String(error)
}

/** The sentence of what was thrown last, which became a response with the status 500. */
async function sentence(t: ExecutionContext, fixture: Fixture): Promise<string> {
  const { status, text } = await fixture.visitor.get('/')
  t.is(status, 500)
  t.is(text, 'Internal Server Error')
  return sentenceOf(fixture.errors.at(-1))
}

const OVER =
  'the request is over, so this change would not be saved: await what the handler starts, or open the session again with manager.open() and commit() it'
const END = 'ctx.session cannot be assigned: end the session with await ctx.session.destroy()'
const STORE =
  "ctx.session cannot be assigned: store each value with ctx.session.set('name', …), after ctx.session.clear() if no other key is to stay"

for (const [value, expected] of Object.entries({
  null: END,
  undefined: END,
  false: END,
  '{}': STORE,
  '{ user: "bob" }': STORE,
})) {
  test(`ctx.session = ${value} throws in sloppy mode, and the session stays`, async (t) => {
    // As a program in plain JavaScript has it.
    const assign = runInThisContext(`(ctx) => { ctx.session = ${value} }`) as (ctx: Ctx) => void
    const fixture = await app(t, assign)
    await fixture.visitor.get('/set')
    t.is(await sentence(t, fixture), expected)
    t.deepEqual(await stored(fixture), { user: 'ann' })
  })
}

test('a sentence names the property that the session has in this application', async (t) => {
  const koa = new Koa().use(session({ property: 'admin' })).use((ctx) => {
    if (ctx.path === '/assign') Reflect.set(ctx, 'admin', null)
    ctx.body = Reflect.get(ctx.admin, 'user')
  })
  const errors: unknown[] = []
  koa.on('error', (error) => errors.push(error))
  const { client } = await serve(t, koa)
  await client().get('/')
  await client().get('/assign')
  t.deepEqual(errors.map(sentenceOf), [
    "ctx.admin has no property 'user': read it with ctx.admin.get('user'), or change it with ctx.admin.update('user', …)",
    'ctx.admin cannot be assigned: end the session with await ctx.admin.destroy()',
  ])
})

test('a property that is not there is a 500, also for the empty session of a store that is down', async (t) => {
  const fixture = await app(t, (ctx) => Reflect.get(ctx.session, 'user'), {
    options: { onStoreError: 'anonymous' },
  })
  const read =
    "ctx.session has no property 'user': read it with ctx.session.get('user'), or change it with ctx.session.update('user', …)"
  t.is(await sentence(t, fixture), read)
  await fixture.visitor.get('/set')
  t.is(await sentence(t, fixture), read)
  fixture.store.before = () => {
    throw new Error('down')
  }
  t.is(await sentence(t, fixture), read)
})

test('where no session is mounted ctx.session is undefined, before and after the first request, and cannot be assigned', async (t) => {
  const seen: unknown[] = []
  const errors: unknown[] = []
  const koa = new Koa().use(async (ctx, next) => {
    seen.push(Reflect.get(ctx, 'session'))
    if (ctx.path === '/assign') Reflect.set(ctx, 'session', {})
    if (ctx.path === '/mounted') await next()
    else ctx.body = 'x'
  })
  koa.use(session()).use((ctx) => {
    ctx.body = ctx.session.isNew
  })
  koa.on('error', (error, ctx) => errors.push(error, ctx.session))
  const { client } = await serve(t, koa)
  for (const path of ['/', '/mounted', '/']) t.is((await client().get(path)).status, 200)
  t.is((await client().get('/assign')).status, 500)
  t.deepEqual(seen, [undefined, undefined, undefined, undefined])
  t.is(sentenceOf(errors[0]), STORE)
  t.is(errors[1], undefined)
})

const changes: Readonly<Record<string, (session: Session) => unknown>> = {
  set: (current) => current.set('user', 'bob'),
  delete: (current) => current.delete('user'),
  update: (current) => current.update('user', () => 'bob'),
  take: (current) => current.take('user'),
  clear: (current) => current.clear(),
  regenerate: (current) => current.regenerate(),
  maxAge: (current) => (current.maxAge = 1_000),
}

const visits: Readonly<Record<string, readonly [path: string, isKnown: boolean, handler: Handler]>> = {
  'a session that the request had used': ['/', true, (ctx) => ctx.session.get('user')],
  'a session that the request had not used': ['/', true, () => {}],
  'a visitor without a session, which the request had used': ['/', false, (ctx) => ctx.session.get('user')],
  'a visitor without a session': ['/', false, () => {}],
  'a request that had failed': ['/', true, (ctx) => ctx.throw(500)],
}

for (const [visit, [path, isKnown, handler]] of Object.entries(visits)) {
  test(`when the request is over, a change of ${visit} throws, and it can be read`, async (t) => {
    const fixture = await app(t, handler)
    if (isKnown) await fixture.visitor.get('/set')
    await fixture.visitor.get(path)
    const late = fixture.contexts.at(-1)?.session
    t.truthy(late)
    if (late === undefined) return
    for (const [name, change] of Object.entries(changes))
      t.is(t.throws(() => change(late), { code: 'ERR_SESSION_STATE' }, name).message, OVER)
    await t.throwsAsync(late.claim('user'), { code: 'ERR_SESSION_STATE' })
    // A failure that no response can tell any more must be an ordinary unhandled rejection.
    t.is(late.commit().constructor, Promise)
    t.is(late.get('user'), isKnown ? 'ann' : undefined)
    t.is(late.isNew, !isKnown)
    t.is(late.isReadOnly, false)
    t.is(fixture.contexts.at(-1)?.session, late)
    t.deepEqual(await stored(fixture), isKnown ? { user: 'ann' } : {})
  })
}

test('a change after a request whose commitOnError has thrown throws, too', async (t) => {
  const fixture = await app(t, (ctx) => ctx.throw(404, String(ctx.session.size)), {
    options: {
      commitOnError: () => {
        throw new Error('a mistake in commitOnError')
      },
    },
  })
  t.is((await fixture.visitor.get('/')).status, 500)
  t.throws(() => fixture.contexts[0]?.session.set('user', 'bob'), { code: 'ERR_SESSION_STATE' })
})

test('a change after a request whose store was down throws, too', async (t) => {
  const fixture = await app(t, (ctx) => ctx.session.get('user'), { options: { onStoreError: 'anonymous' } })
  await fixture.visitor.get('/set')
  fixture.store.before = () => {
    throw new Error('down')
  }
  t.is((await fixture.visitor.get('/')).status, 200)
  const late = fixture.contexts.at(-1)?.session
  t.is(late?.id, '')
  t.throws(() => late?.set('user', 'bob'), { code: 'ERR_SESSION_STORE' })
})

test('a middleware outside of session() can read the session after the request, and a change by it is a 500', async (t) => {
  const seen: unknown[] = []
  const fixture = await app(t, () => {}, {
    before: async (ctx, next) => {
      await next()
      seen.push(ctx.session.get('user'), [...ctx.session.keys()])
      if (ctx.path === '/') ctx.session.set('user', 'bob')
    },
  })
  await fixture.visitor.get('/set')
  t.deepEqual(seen, ['ann', ['user']])
  t.is(await sentence(t, fixture), OVER)
  t.deepEqual(await stored(fixture), { user: 'ann' })
})

test('what a handler does after a next() that was not awaited is stored until its first wait; then it throws', async (t) => {
  const late: unknown[] = []
  const turn = async (): Promise<unknown> => new Promise(setImmediate)
  const fixture = await app(
    t,
    async (ctx) => {
      ctx.session.set('early', 1)
      await turn()
      try {
        ctx.session.set('late', 1)
      } catch (error) {
        late.push(sentenceOf(error))
      }
    },
    {
      after: async (ctx, next) => {
        if (ctx.path !== '/') return next()
        void next()
        return undefined
      },
    },
  )
  await fixture.visitor.get('/')
  while (late.length === 0) await turn()
  t.deepEqual(late, [OVER])
  t.deepEqual(await stored(fixture), { early: 1 })
})

test('if a middleware before session() does not await next(), the changes are stored, and a cookie that cannot be sent is reported', async (t) => {
  const done: Promise<unknown>[] = []
  const fixture = await app(t, (ctx) => new Promise(setImmediate).then(() => ctx.session.set('late', 1)), {
    before: (ctx, next) => {
      if (ctx.path === '/') done.push(next())
      else return next()
      ctx.body = 'sent early'
      return undefined
    },
  })
  t.is((await fixture.visitor.get('/')).text, 'sent early')
  await Promise.all(done)
  t.is(await fixture.store.count(), 1)
  t.true(fixture.events.some((event) => event.type === 'cookie-not-sent'))
  await fixture.visitor.get('/set')
  await fixture.visitor.get('/')
  await Promise.all(done)
  t.deepEqual(await stored(fixture), { user: 'ann', late: 1 })
})

test('a change while the last commit is under way throws: it would come too late for it', async (t) => {
  let late: unknown
  const fixture = await app(t, (ctx, { store }) => {
    ctx.session.set('n', 1)
    store.hold()
    setImmediate(() => {
      try {
        ctx.session.set('n', 2)
      } catch (error) {
        late = error
      } finally {
        store.release()
      }
    })
  })
  t.is((await fixture.visitor.get('/')).status, 200)
  t.is(sentenceOf(late), OVER)
  t.deepEqual(await stored(fixture), { n: 1 })
})

test('a destroy() that was not awaited is waited for: the session has ended and the cookie is cleared', async (t) => {
  const fixture = await app(t, (ctx) => void ctx.session.destroy())
  await fixture.visitor.get('/set')
  t.is((await fixture.visitor.get('/')).status, 200)
  t.is(fixture.visitor.cookies.size, 0)
  t.is(await fixture.store.count(), 0)
})

test('a change after a destroy() that was not awaited would be lost, so it is a 500 that names the await', async (t) => {
  const fixture = await app(t, (ctx) => {
    void ctx.session.destroy()
    ctx.session.set('flash', 'Bye!')
  })
  await fixture.visitor.get('/set')
  t.is(
    await sentence(t, fixture),
    'a change was made while ctx.session.destroy() was under way and would be lost: write await ctx.session.destroy()',
  )
})

test('an error response waits for a destroy() that was not awaited too, and clears the cookie', async (t) => {
  const fixture = await app(t, (ctx, { store }) => {
    void ctx.session.destroy()
    store.hold()
    setImmediate(() => store.release())
    ctx.throw(500, 'failed')
  })
  await fixture.visitor.get('/set')
  t.is((await fixture.visitor.get('/')).status, 500)
  t.is(fixture.visitor.cookies.size, 0)
  t.is(await fixture.store.count(), 0)
  await fixture.visitor.get('/set')
  fixture.store.before = (verb) => {
    if (verb === 'destroy') throw new Error('down')
  }
  t.is((await fixture.visitor.get('/')).status, 500)
  t.deepEqual(fixture.errors.map(String), ['InternalServerError: failed', 'InternalServerError: failed'])
})

test('what an un-awaited function does after its own await of destroy() throws there', async (t) => {
  let late: unknown
  const logOut = async (ctx: Ctx): Promise<void> => {
    await ctx.session.destroy()
    try {
      ctx.session.set('flash', 'Bye!')
    } catch (error) {
      late = error
    }
  }
  const fixture = await app(t, (ctx) => void logOut(ctx))
  await fixture.visitor.get('/set')
  t.is((await fixture.visitor.get('/')).status, 200)
  t.is(sentenceOf(late), OVER)
  t.deepEqual(await stored(fixture), {})
})

const failures: Readonly<Record<string, Handler>> = {
  'still under way at the end': (ctx) => void ctx.session.destroy(),
  'over before the end': async (ctx) => {
    void ctx.session.destroy()
    for (let turns = 0; turns < 3; turns += 1) await new Promise(setImmediate)
  },
  'awaited by a function that was not awaited': (ctx) => {
    void (async () => ctx.session.destroy())().catch(() => {})
  },
}

for (const [when, handler] of Object.entries(failures)) {
  test(`a destroy() that was not awaited and fails, ${when}, is a 503 instead of an unhandled rejection`, async (t) => {
    const fixture = await app(t, handler)
    await fixture.visitor.get('/set')
    fixture.store.before = (verb) => {
      if (verb === 'destroy') throw new Error('down')
    }
    const { status, setCookies } = await fixture.visitor.get('/')
    t.is(status, 503)
    t.deepEqual(setCookies, [])
    t.deepEqual(await stored(fixture), { user: 'ann' })
  })
}

test('a destroy() whose failure the handler has caught is no error of the request', async (t) => {
  const fixture = await app(t, (ctx) => ctx.session.destroy().catch(() => {}))
  await fixture.visitor.get('/set')
  fixture.store.before = (verb) => {
    if (verb === 'destroy') throw new Error('down')
  }
  t.is((await fixture.visitor.get('/')).status, 200)
})

const unseen =
  "ctx.session.claim('user') was not awaited, so its value was not seen: write await ctx.session.claim('user')"

test('a claim() that was not awaited is always true in a condition, so it is a 500 that names the await', async (t) => {
  const fixture = await app(t, async (ctx) => {
    if (Boolean(ctx.session.claim('user')) && ctx.query['slow'] !== undefined) await new Promise(setImmediate)
  })
  t.is(await sentence(t, fixture), unseen) // for a visitor without a session, too
  await fixture.visitor.get('/set')
  t.is(await sentence(t, fixture), unseen)
  await fixture.visitor.get('/?slow')
  t.is(sentenceOf(fixture.errors.at(-1)), unseen)
  await fixture.visitor.get('/set')
  fixture.store.before = (verb) => {
    if (verb === 'destroy' || verb === 'replace') throw new Error('down')
  }
  t.is(await sentence(t, fixture), unseen)
  t.is(fixture.errors.length, 4)
})

const awaited: readonly string[] = [
  "await session.claim('user')",
  "await session.claim('user').then(() => {})",
  "session.claim('user').then(() => {})",
  "await session.claim('user').finally(() => {})",
  "await Promise.all([session.claim('user')])",
  "await Promise.race([session.claim('user')])",
  "return session.claim('user')",
  "for await (const value of [session.claim('user')]) value",
]

for (const program of awaited) {
  test(`${program} is an await of claim()`, async (t) => {
    // Plain JavaScript, since a linter refuses some of them.
    const handler = runInThisContext(`async (session) => { ${program} }`) as (current: Session) => unknown
    const fixture = await app(t, (ctx) => handler(ctx.session))
    await fixture.visitor.get('/set')
    t.is((await fixture.visitor.get('/')).status, 200)
    t.deepEqual(await stored(fixture), {})
    t.deepEqual(fixture.errors, [])
  })
}

test('a promise made from that of claim() is an ordinary one', async (t) => {
  const fixture = await app(t, async (ctx) => {
    const claimed = ctx.session.claim('user')
    t.true(claimed instanceof Promise)
    t.is(claimed.finally(() => {}).constructor, Promise)
    await claimed
  })
  t.is((await fixture.visitor.get('/')).status, 200)
})

test('what a commit() that was not awaited could not store, the commit at the end stores, or the response is an error', async (t) => {
  let failing = 0
  const fixture = await app(t, async (ctx) => {
    ctx.session.update('n', (n = 0) => n + 1)
    void ctx.session.commit()
    if (ctx.query['slow'] !== undefined)
      for (let turns = 0; turns < 3; turns += 1) await new Promise(setImmediate)
  })
  fixture.store.before = (verb) => {
    if (verb === 'replace' && failing-- > 0) throw new Error('down')
  }
  for (const path of ['/', '/?slow']) {
    await fixture.visitor.get('/set')
    const before = await stored(fixture)
    failing = 2 // the library sends a write once more by itself
    t.is((await fixture.visitor.get(path)).status, 200)
    t.notDeepEqual(await stored(fixture), before)
    failing = 9
    t.is((await fixture.visitor.get(path)).status, 503)
  }
})

/** Handles one request without a socket, and rejects if an error listener throws: Koa does not catch that, so the process ends. */
async function handle(koa: Koa, path: string, cookie = ''): Promise<ServerResponse> {
  const request = Object.assign(new IncomingMessage(new Socket()), { method: 'GET', url: path })
  request.headers.cookie = cookie
  const response = new ServerResponse(request)
  await koa.callback()(request, response)
  return response
}

class Account {
  name = 'ann'
}

test('an error listener of Koa that reads the session, rightly or wrongly, does not end the process', async (t) => {
  const store = new HeldStore()
  const registry = createRegistry()
  registry.registerType(Account)
  const build = (options: SessionOptions, isMounted = true): { koa: Koa; seen: unknown[] } => {
    const koa = new Koa()
    const seen: unknown[] = []
    koa.on('error', (error: unknown, { session: current }: Ctx) => {
      seen.push(error instanceof SessionError ? error.code : String(error))
      if (current === undefined) return seen.push('undefined')
      const wrong = [Reflect.get(current, 'account'), 'account' in current, Object.hasOwn(current, 'account')]
      const right = [
        current.isNew,
        current.size,
        current.get('account'),
        current.has('account'),
        [...current].length,
      ]
      return seen.push(typeof current.id, ...wrong, ...right)
    })
    koa.use(async (ctx, next) => {
      if (ctx.path === '/unmounted') throw new Error('unmounted')
      await next()
    })
    if (isMounted) koa.use(session({ store, ...options }))
    koa.use((ctx) => {
      if (ctx.path === '/set') ctx['session'].set('account', new Account())
      if (ctx.path === '/use') ctx['session'].get('account')
      if (ctx.path === '/read') Reflect.get(ctx['session'], 'account')
      if (ctx.path !== '/set') ctx.throw(500, 'failed')
    })
    return { koa, seen }
  }
  const known = build({ registry })
  const cookie = String((await handle(known.koa, '/set')).getHeader('set-cookie')).replace(/;.*/s, '')
  t.regex(cookie, /^sid=/)
  for (const path of ['/', '/use']) await handle(known.koa, path)
  const anonymous = [
    'InternalServerError: failed',
    'string',
    undefined,
    false,
    false,
    true,
    0,
    undefined,
    false,
    0,
  ]
  t.deepEqual(known.seen.splice(0), [...anonymous, ...anonymous])
  await handle(known.koa, '/read', cookie)
  t.deepEqual(known.seen.slice(0, 4), ['ERR_SESSION_STATE', 'string', undefined, false])
  t.true(known.seen[7] instanceof Account)

  const older = build({ registry: createRegistry() }) // an older version of the program, in a rolling deploy
  await handle(older.koa, '/use', cookie)
  t.deepEqual(older.seen, [
    'ERR_SESSION_DECODE',
    'string',
    undefined,
    false,
    false,
    false,
    1,
    undefined,
    true,
    1,
  ])

  const off = build({ enabled: false })
  for (const path of ['/', '/use']) await handle(off.koa, path, cookie)
  t.deepEqual(off.seen, ['InternalServerError: failed', 'undefined', 'ERR_SESSION_STATE', 'undefined'])

  const none = build({}, false)
  await handle(none.koa, '/', cookie)
  await handle(known.koa, '/unmounted', cookie)
  t.deepEqual(none.seen, ['InternalServerError: failed', 'undefined'])
  t.deepEqual(known.seen.slice(-2), ['Error: unmounted', 'undefined'])

  store.before = () => {
    throw new Error('down')
  }
  for (const onStoreError of ['throw', 'anonymous'] as const) {
    const down = build({ registry, onStoreError })
    for (const path of ['/', '/use']) await handle(down.koa, path, cookie)
    const empty = ['string', undefined, false, false, true, 0, undefined, false, 0]
    const used = onStoreError === 'throw' ? 'ERR_SESSION_STORE' : 'InternalServerError: failed'
    t.deepEqual(down.seen, ['InternalServerError: failed', ...empty, used, ...empty])
  }
})

test('an empty session that was opened for an error listener is read-only and has no ID', async (t) => {
  const fixture = await app(t, () => {}, {})
  await fixture.visitor.get('/set')
  fixture.store.before = (verb) => {
    if (verb === 'read') throw new Error('down')
  }
  t.is((await fixture.visitor.get('/')).status, 200)
  const late = fixture.contexts.at(-1)?.session
  t.true(late?.isReadOnly)
  t.is(late?.id, '')
  t.throws(() => late?.set('user', 'bob'), { code: 'ERR_SESSION_STORE' })
})

// What nothing in the language tells a library about. These tests only write down what happens.

test('not detected: delete ctx.session, which leaves the session as it is', async (t) => {
  const fixture = await app(t, (ctx) => void Reflect.deleteProperty(ctx, 'session'))
  await fixture.visitor.get('/set')
  t.is((await fixture.visitor.get('/')).status, 200)
  t.deepEqual(await stored(fixture), { user: 'ann' })
})

test('not detected: a list of the properties, which is empty, since matchers and loggers ask for it', async (t) => {
  const lists: unknown[] = []
  const fixture = await app(t, (ctx) => {
    const names: string[] = []
    for (const name in ctx.session) names.push(name)
    lists.push(names, Object.keys(ctx.session), Object.assign({}, ctx.session))
  })
  await fixture.visitor.get('/set')
  await fixture.visitor.get('/')
  t.deepEqual(lists, [[], [], {}])
})

test('not detected: a change in place of an object once the request is over, or while destroy() is under way', async (t) => {
  let cart: string[] = []
  const fixture = await app(t, (ctx) => {
    if (ctx.query['first'] !== undefined) ctx.session.set('cart', [])
    cart = ctx.session.get('cart')
  })
  await fixture.visitor.get('/?first')
  await fixture.visitor.get('/')
  cart.push('apple')
  t.deepEqual(await stored(fixture), { cart: [] })
})
