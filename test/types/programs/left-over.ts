// Types of a library that the program no longer uses, and that the compiler includes all the same.
import Router from '@koa/router'
import { expectTypeOf } from 'expect-type'
import Koa from 'koa'
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
app.use((ctx) => {
  expectTypeOf(ctx.session).toEqualTypeOf<AppSession>()
  // @ts-expect-error: what koa-session would have allowed
  ctx.session.views = 1
  // @ts-expect-error: what koa-session and koa-generic-session would have allowed
  ctx.session = null
})
new Router().get('/', (ctx) => {
  expectTypeOf(ctx.session).toEqualTypeOf<AppSession>()
})
export function f(ctx: Koa.Context): void {
  expectTypeOf(ctx.session).toEqualTypeOf<AppSession>()
}
new Koa().use(session({ schema })).use((ctx) => {
  expectTypeOf(ctx.session).toEqualTypeOf<AppSession>()
})
