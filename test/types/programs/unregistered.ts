// The import alone: any key holds anything.
import Router from '@koa/router'
import { expectTypeOf } from 'expect-type'
import Koa from 'koa'
import { session, type RegisteredSchema, type Session, type SessionContext } from 'koa-typed-session'
import 'koa-typed-session/augment'

expectTypeOf<RegisteredSchema>().toEqualTypeOf<undefined>()
const app = new Koa()
app.use(session())
app.use((ctx) => {
  expectTypeOf(ctx.session).toEqualTypeOf<Session>()
  const visits: number | undefined = ctx.session.get('visits')
  ctx.body = String(visits)
  // @ts-expect-error: a session is no plain object
  ctx.session.visits = 1
})
const router = new Router()
router.get('/', (ctx) => {
  expectTypeOf(ctx.session).toEqualTypeOf<Session>()
})
router.use((ctx, next) => {
  expectTypeOf(ctx.session).toEqualTypeOf<Session>()
  return next()
})
new Router<Koa.DefaultState, SessionContext>().get('/', (ctx) => {
  expectTypeOf(ctx.session).toEqualTypeOf<Session>()
})
export function f(ctx: Koa.Context): void {
  expectTypeOf(ctx.session).toEqualTypeOf<Session>()
}
