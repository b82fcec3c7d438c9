import test from 'ava'
import Koa from 'koa'
import { session, SessionError } from '../../src/index.ts'
import { serve } from '../support/client.ts'
import { SpiedStore } from '../support/spied-store.ts'

class TeapotError extends Error {
  readonly status = 418
  readonly expose = true
}

test('an error of the handler is the cause of that of the commit which follows it and fails', async (t) => {
  const store = new SpiedStore()
  const failure = { cause: undefined as unknown }
  store.before = (verb) => {
    if (verb === 'create')
      throw new SessionError('ERR_SESSION_STORE', 'the store is full', { ...failure, answered: true })
  }
  const teapot = new TeapotError('short and stout')
  const app = new Koa().use(session({ store })).use((ctx) => {
    ctx.session.set('user', 'ann')
    throw teapot
  })
  const errors: unknown[] = []
  app.on('error', (error) => errors.push(error))
  const { client } = await serve(t, app)
  t.is((await client().get('/')).status, 503)
  t.like(errors[0], {
    code: 'ERR_SESSION_STORE',
    message: 'the store is full',
    cause: teapot,
    answered: true,
  })

  // The reason of the driver stays beside it.
  failure.cause = new Error('ENOSPC')
  t.is((await client().get('/')).status, 503)
  const { cause }: { readonly cause?: unknown } = Object(errors[1])
  t.true(cause instanceof AggregateError)
  t.deepEqual((cause as AggregateError).errors, [failure.cause, teapot]) // as just asserted
})

test('a handler that fails where nothing is committed keeps its error', async (t) => {
  const app = new Koa().use(session()).use((ctx) => {
    ctx.session.set('user', 'ann')
    throw new Error('a fault')
  })
  const errors: unknown[] = []
  app.on('error', (error) => errors.push(error))
  const { client } = await serve(t, app)
  t.is((await client().get('/')).status, 500)
  t.is(String(errors[0]), 'Error: a fault')
})
