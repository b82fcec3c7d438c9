// Without the import nothing but what the middleware itself brings: in all other places the session is `any`.
import Router from '@koa/router'
import { expectTypeOf } from 'expect-type'
import Koa from 'koa'
import { session, type Session, type SessionContext } from 'koa-typed-session'
import { z } from 'zod'

const schema = { userId: z.int() }
declare module 'koa-typed-session' {
  interface Register {
    schema: typeof schema
  }
}

const app = new Koa()
app.use(session({ schema }))
app.use((ctx) => {
  expectTypeOf(ctx.session).toBeAny()
})
new Router().get('/', (ctx) => {
  expectTypeOf(ctx.session).toBeAny()
})
export function f(ctx: Koa.Context): void {
  expectTypeOf(ctx.session).toBeAny()
}
new Koa().use(session({ schema })).use((ctx) => {
  expectTypeOf(ctx.session).toEqualTypeOf<Session<{ userId: number }>>()
})
new Router<Koa.DefaultState, SessionContext>().get('/', (ctx) => {
  expectTypeOf(ctx.session).toEqualTypeOf<Session<{ userId: number }>>()
})
