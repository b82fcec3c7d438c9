// Checked by `npm run types`: the types of a session, without any augmentation of Koa's types.
import Router from '@koa/router'
import { expectTypeOf } from 'expect-type'
import Koa from 'koa'
import mount from 'koa-mount'
import { z } from 'zod'
import {
  fromConfig,
  registerType,
  session,
  SessionManager,
  type DeepReadonly,
  type Session,
  type SessionContext,
  type SessionOptions,
} from '../src/index.ts'

class Cart {
  readonly lines: string[] = []
  total(): bigint {
    return 0n
  }
}

const schema = { userId: z.int(), cart: z.instanceof(Cart), seen: z.date().optional() }

// keys and values come from the schema
const app = new Koa().use(session({ schema }))
app.use((ctx) => {
  expectTypeOf(ctx.session.get('userId')).toEqualTypeOf<number | undefined>()
  expectTypeOf(ctx.session.get('cart')).toEqualTypeOf<Cart | undefined>()
  expectTypeOf(ctx.session.get('seen')).toEqualTypeOf<Date | undefined>()
  expectTypeOf(ctx.session.take('cart')).toEqualTypeOf<Cart | undefined>()
  expectTypeOf(ctx.session.claim('userId')).resolves.toEqualTypeOf<number | undefined>()
  expectTypeOf(ctx.session.update('userId', (n = 0) => n + 1)).toEqualTypeOf<number | undefined>()
  expectTypeOf(ctx.session.commit()).resolves.toEqualTypeOf<'ok' | 'gone'>()
  for (const key of ctx.session.keys()) expectTypeOf(key).toEqualTypeOf<'userId' | 'cart' | 'seen'>()
  ctx.session.set('userId', 1).set('cart', new Cart())
  ctx.session.update('cart', (cart = new Cart()) => {
    cart.lines.push('apple')
  })
  // @ts-expect-error: a key that the schema does not have
  ctx.session.get('userid')
  // @ts-expect-error: a value of another type
  ctx.session.set('userId', 'one')
  // @ts-expect-error: a session is changed by its methods
  ctx.session = undefined
})

// what is read by peek may not be changed
app.use((ctx) => {
  expectTypeOf(ctx.session.peek('userId')).toEqualTypeOf<number | undefined>()
  expectTypeOf(ctx.session.peek('seen')).toEqualTypeOf<Date | undefined>()
  const cart = ctx.session.peek('cart')
  expectTypeOf(cart).toEqualTypeOf<DeepReadonly<Cart> | undefined>()
  expectTypeOf(cart?.lines).toEqualTypeOf<readonly string[] | undefined>()
  expectTypeOf(cart?.total()).toEqualTypeOf<bigint | undefined>()
  // @ts-expect-error: the lines are read-only
  cart?.lines.push('apple')
  // @ts-expect-error: a function may change a Cart that it is handed
  ctx.session.set('cart', cart)
})
new Koa().use(session()).use((ctx) => {
  expectTypeOf(ctx.session.peek('cart')).toBeAny()
})
expectTypeOf<DeepReadonly<unknown>>().toBeUnknown()
expectTypeOf<DeepReadonly<[a: Cart, b?: { c: Date[] } | string]>>().toEqualTypeOf<
  readonly [a: DeepReadonly<Cart>, b?: { readonly c: readonly Date[] } | string]
>()
expectTypeOf<DeepReadonly<Map<string, Set<{ n: number }>>>>().toEqualTypeOf<
  ReadonlyMap<string, ReadonlySet<{ readonly n: number }>>
>()
expectTypeOf<DeepReadonly<Buffer | Uint8Array | (() => void)>>().toEqualTypeOf<
  Buffer | Uint8Array | (() => void)
>()
class Counts extends Map<string, number> {
  readonly #most = 1
  best(): number {
    return this.#most
  }
}
expectTypeOf<DeepReadonly<Counts>['best']>().toEqualTypeOf<() => number>()
// @ts-expect-error: what changes a Map is not there
export type Setting = DeepReadonly<Counts>['set']

// without a schema any key holds anything
new Koa().use(session()).use((ctx) => {
  const cart = ctx.session.get('cart') ?? new Cart()
  cart.lines.push('x')
  ctx.session.update('n', (n = 0) => n + 1)
})

// a router is typed by SessionContext
const router = new Router<Koa.DefaultState, SessionContext<typeof schema>>()
router.get('/', (ctx) => {
  expectTypeOf(ctx.session.get('userId')).toEqualTypeOf<number | undefined>()
})
app.use(router.routes()).use(router.allowedMethods())

// two sessions with different types in one application
new Koa()
  .use(session({ schema: { a: z.string() } }))
  .use(session({ schema: { b: z.boolean() }, name: 'admin', property: 'admin' }))
  .use((ctx) => {
    expectTypeOf(ctx.session.get('a')).toEqualTypeOf<string | undefined>()
    expectTypeOf(ctx.admin.get('b')).toEqualTypeOf<boolean | undefined>()
  })

// mounted under another application
new Koa().use(mount('/shop', app))

// settings from a file give an untyped session; a schema can be added
new Koa().use(session({ ...fromConfig({}), schema })).use((ctx) => {
  expectTypeOf(ctx.session.get('userId')).toEqualTypeOf<number | undefined>()
})

// the manager has the same types
const manager = new SessionManager({ schema })
expectTypeOf(manager.open()).resolves.toEqualTypeOf<
  Session<{ userId: number; cart: Cart; seen: Date | undefined }>
>()
expectTypeOf(session({ schema }).manager).toEqualTypeOf<SessionManager<typeof schema>>()

// unknown options and values do not compile
// @ts-expect-error: no such option
export const typo: SessionOptions = { idleTimout: 1 }
// @ts-expect-error: only 'lax', 'strict' or 'none'
export const site: SessionOptions = { cookie: { sameSite: 'relaxed' } }

// a class and its hooks
registerType(Cart, {
  name: 'Cart',
  version: 2,
  upgrade: (fields, fromVersion) => ({ ...fields, fromVersion }),
  merge: (base, mine, theirs) => {
    expectTypeOf(base).toEqualTypeOf<Cart | undefined>()
    expectTypeOf(mine).toEqualTypeOf<Cart>()
    return theirs
  },
})

// the defaults of a class are typed by its fields
registerType(Cart, { name: 'Cart1', defaults: () => ({ lines: ['apple'] }) })
registerType(Cart, { name: 'Cart2', defaults: () => new Cart() })
registerType(Cart, { name: 'Cart3', defaults: () => ({}) })
// @ts-expect-error the lines are text
registerType(Cart, { name: 'Cart4', defaults: () => ({ lines: [1] }) })
// @ts-expect-error the values come from a function, so that they are new ones each time
registerType(Cart, { name: 'Cart5', defaults: { lines: [] } })
