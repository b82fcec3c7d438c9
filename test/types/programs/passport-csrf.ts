import Router from '@koa/router'
import { expectTypeOf } from 'expect-type'
import Koa from 'koa'
import CSRF from 'koa-csrf'
import passport from 'koa-passport'
import { session, type Session } from 'koa-typed-session'
import 'koa-typed-session/augment'
import { z } from 'zod'

const schema = { userId: z.int() }
declare module 'koa-typed-session' {
  interface Register {
    schema: typeof schema
  }
}
type AppSession = Session<{ userId: number }>

const app = new Koa()
app.use(session({ schema }))
app.use(new CSRF())
app.use(passport.initialize())
app.use(passport.session())
app.use(async (ctx, next) => {
  expectTypeOf(ctx.session).toEqualTypeOf<AppSession>()
  expectTypeOf(ctx.isAuthenticated()).toEqualTypeOf<boolean>()
  expectTypeOf(ctx.state._csrf).toEqualTypeOf<string>()
  await ctx.login({ id: ctx.session.get('userId') })
  await next()
})
const router = new Router()
router.post('/login', passport.authenticate('local'), (ctx) => {
  expectTypeOf(ctx.session).toEqualTypeOf<AppSession>()
})
app.use(router.routes())
new Koa()
  .use(session({ schema }))
  .use(passport.initialize())
  .use((ctx) => {
    expectTypeOf(ctx.session).toEqualTypeOf<AppSession>()
    expectTypeOf(ctx.logout()).resolves.toEqualTypeOf<void>()
  })
