// An application with a schema of its own, in all the places where programs write handlers.
import Router from '@koa/router'
import { expectTypeOf } from 'expect-type'
import Koa from 'koa'
import { session, type Session, type SessionContext } from 'koa-typed-session'
import 'koa-typed-session/augment'
import { z } from 'zod'

const schema = { userId: z.int(), tags: z.array(z.string()) }
declare module 'koa-typed-session' {
  interface Register {
    schema: typeof schema
  }
}
type AppSession = Session<{ userId: number; tags: string[] }>

// statements instead of a chain
const app = new Koa()
app.use(session({ schema }))
app.use((ctx) => {
  expectTypeOf(ctx.session).toEqualTypeOf<AppSession>()
  expectTypeOf(ctx.session.get('tags')).toEqualTypeOf<string[] | undefined>()
  // @ts-expect-error: a key that the schema does not have
  ctx.session.get('userid')
  // @ts-expect-error: a value of another type
  ctx.session.set('userId', 'one')
  // @ts-expect-error: a session has no properties of the application's
  ctx.session.userId = 1
  // @ts-expect-error: a session is changed by its methods
  ctx.session = undefined
})
app.use(async (ctx, next) => {
  expectTypeOf(ctx.session).toEqualTypeOf<AppSession>()
  await next()
})

// a router without type arguments
const router = new Router()
router.get('/', (ctx) => {
  expectTypeOf(ctx.session).toEqualTypeOf<AppSession>()
})
router.post(
  '/:id',
  async (ctx, next) => {
    expectTypeOf(ctx.session).toEqualTypeOf<AppSession>()
    await next()
  },
  (ctx) => {
    expectTypeOf(ctx.session).toEqualTypeOf<AppSession>()
    expectTypeOf(ctx.params['id']).toEqualTypeOf<string | undefined>()
  },
)
router.param('id', (_id, ctx, next) => {
  expectTypeOf(ctx.session).toEqualTypeOf<AppSession>()
  return next()
})

// one with SessionContext, which needs no type argument
const typedRouter = new Router<Koa.DefaultState, SessionContext>()
typedRouter.get('/', (ctx) => {
  expectTypeOf(ctx.session).toEqualTypeOf<AppSession>()
})
app.use(router.routes()).use(router.allowedMethods())
app.use(typedRouter.routes()).use(typedRouter.allowedMethods())

// functions that take a context
export function userOf(ctx: Koa.Context): number | undefined {
  expectTypeOf(ctx.session).toEqualTypeOf<AppSession>()
  return ctx.session.get('userId')
}
export function tagsOf(ctx: Koa.ExtendableContext & { state: { tag: string } }): void {
  expectTypeOf(ctx.session).toEqualTypeOf<AppSession>()
}
export const guard: Koa.Middleware = (ctx, next) => {
  expectTypeOf(ctx.session).toEqualTypeOf<AppSession>()
  return userOf(ctx) === undefined ? ctx.throw(401) : next()
}
app.use(guard)
router.get('/guarded', guard).use(guard)

// the chain, where the middleware itself brings the type
new Koa().use(session({ schema })).use((ctx) => {
  expectTypeOf(ctx.session).toEqualTypeOf<AppSession>()
})

// an application with a context and a state of its own
const own = new Koa<{ start: number }, { locale: string }>()
own.use(session({ schema }))
own.use((ctx) => {
  expectTypeOf(ctx.session).toEqualTypeOf<AppSession>()
  expectTypeOf(ctx.locale).toEqualTypeOf<string>()
})
