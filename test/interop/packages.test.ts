// Packages that expect `ctx.session` as an object, over HTTP: with koa-session as the control, with the session object, and without.
import test, { type ExecutionContext } from 'ava'
import Koa, { type Middleware } from 'koa'
import { session as sessionObject } from '../../src/compat/index.ts'
import { session, SessionError } from '../../src/index.ts'
import { serve } from '../support/client.ts'
import { createKoaSession } from './packages.ts'
import { providerApp } from './provider.ts'
import { scenarios, type Scenario } from './scenarios.ts'

interface Driven {
  readonly facts: unknown
  readonly errors: readonly unknown[]
}

/** Runs a scenario over HTTP with one kind of session. */
async function driven(
  t: ExecutionContext,
  { mount, drive }: Scenario,
  sessionOf: (app: Koa) => Middleware,
): Promise<Driven> {
  const app = new Koa()
  app.keys = ['a key']
  const errors: unknown[] = []
  app.on('error', (error: unknown) => errors.push(error))
  let base = ''
  let issuer = ''
  const provider = await serve(
    t,
    providerApp(() => issuer),
  )
  issuer = provider.client().base
  app.use(sessionOf(app))
  // The packages are mounted when the address is known.
  const inner = new Koa()
  const places = { app: () => base, provider: () => issuer }
  app.use(async (ctx, next) => {
    if (inner.middleware.length === 0) mount(inner, places)
    await composed(inner)(ctx, next)
  })
  const { client } = await serve(t, app)
  base = client().base
  let facts: unknown
  try {
    facts = await drive(client())
  } catch (error) {
    facts = error
  }
  return { facts: withoutPorts(facts, base, issuer), errors }
}

function composed({ middleware }: Koa): Middleware {
  return async (ctx, next) => {
    const run = (at: number): Promise<unknown> =>
      Promise.resolve(at === middleware.length ? next() : middleware[at]?.(ctx, () => run(at + 1)))
    await run(0)
  }
}

function withoutPorts(facts: unknown, ...bases: readonly string[]): unknown {
  return JSON.parse(bases.reduce((text, base) => text.replaceAll(base, ''), JSON.stringify(facts) ?? 'null'))
}

for (const [name, scenario] of Object.entries(scenarios)) {
  const { shape = 'koa-session' } = scenario

  test(`${name} does with the session object what it does with koa-session`, async (t) => {
    const control = await driven(t, scenario, (app) => createKoaSession({ store: memory() }, app))
    t.deepEqual(control.errors.filter(isServerError), [])
    t.deepEqual(control.facts, scenario.facts)
    const object = await driven(t, scenario, () => sessionObject({ shape }) as unknown as Middleware)
    t.deepEqual(object.errors.filter(isServerError), [])
    t.deepEqual(object.facts, scenario.facts)
  })

  test(`${name} without it fails with a sentence that names the session object`, async (t) => {
    const { errors } = await driven(t, scenario, () => session() as unknown as Middleware)
    const told = errors.find((error) => error instanceof SessionError)
    t.is(told?.code, 'ERR_SESSION_STATE', String(errors[0]))
    t.regex(told?.message ?? '', /koa-typed-session\/compat/)
  })
}

/** Such as a wrong CSRF token. */
function isServerError(error: unknown): boolean {
  const { status = 500 } = Object(error) as { readonly status?: number }
  return status >= 500
}

/** A store for koa-session. */
function memory(): object {
  const records = new Map<string, string>()
  return {
    get: async (key: string): Promise<unknown> => JSON.parse(records.get(key) ?? 'null'),
    set: async (key: string, value: unknown): Promise<void> => void records.set(key, JSON.stringify(value)),
    destroy: async (key: string): Promise<void> => void records.delete(key),
  }
}
