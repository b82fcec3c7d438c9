// A program that has loaded the package twice: two versions below node_modules, or one that a bundler has copied.
import { cp, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import test from 'ava'
import Koa from 'koa'
import { createRegistry, requireFresh, session, SessionError, SessionManager } from '../src/index.ts'
import { serve } from './support/client.ts'

class Cart {
  items: string[] = []
}

const folder = await mkdtemp(path.join(tmpdir(), 'kts-copy-'))
await cp('src', path.join(folder, 'src'), { recursive: true })
await symlink(path.resolve('node_modules'), path.join(folder, 'node_modules'))
await writeFile(path.join(folder, 'package.json'), '{ "type": "module" }')
const other = (await import(
  pathToFileURL(path.join(folder, 'src/index.ts')).href
)) as typeof import('../src/index.ts')

test.after.always(() => rm(folder, { recursive: true, force: true }))

const anotherCopy =
  /of another copy of koa-typed-session: find the copies with npm ls koa-typed-session, and keep one$/

test('a registry of another copy of the package is refused', (t) => {
  t.not(other.createRegistry, createRegistry)
  t.throws(() => session({ registry: other.createRegistry() }), {
    code: 'ERR_SESSION_OPTIONS',
    message: anotherCopy,
  })
})

test('a session of another copy of the package is refused', async (t) => {
  const theirs = new other.SessionManager().begin()
  const manager = new SessionManager()
  // As a program may pass it whose types do not tell the copies apart.
  const error = await t.throwsAsync(manager.commit(theirs as never), { instanceOf: SessionError })
  t.is(error?.code, 'ERR_SESSION_STATE')
  t.regex(error?.message ?? '', anotherCopy)
  for (const value of [undefined, null, 'id', {}])
    await t.throwsAsync(manager.commit(value as never), { message: /^this is not a session: / }) // the same
})

test('a class that is registered with another copy of the package is refused, and so is one of another registry', (t) => {
  const registry = other.createRegistry()
  registry.registerType(Cart)
  const begun = new SessionManager({ registry: createRegistry() }).begin()
  t.throws(() => begun.set('cart', new Cart()), {
    code: 'ERR_SESSION_VALUE',
    message: /^cart: .*the class is registered with another copy of koa-typed-session; find the copies/,
  })
  class Point {
    x = 1
  }
  createRegistry().registerType(Point)
  t.throws(() => begun.set('point', new Point()), {
    message: /the class is registered with another registry than that of this session$/,
  })
})

test('of two copies of the package that are mounted in one application the first request says so', async (t) => {
  const app = new Koa()
  const errors: unknown[] = []
  app.on('error', (error) => errors.push(error))
  app.use(other.session({ name: 'a' }) as Koa.Middleware).use(session({ name: 'b' }) as Koa.Middleware)
  const { client } = await serve(t, app)
  t.is((await client().get('/')).status, 500)
  t.regex(
    String(errors[0]),
    /ctx\.session is already taken by another copy of koa-typed-session: find the copies/,
  )
})

test('requireFresh() of another copy of the package says so', async (t) => {
  const app = new Koa()
  const errors: unknown[] = []
  app.on('error', (error) => errors.push(error))
  app.use(other.session() as Koa.Middleware).use(requireFresh(5_000))
  const { client } = await serve(t, app)
  t.is((await client().get('/')).status, 500)
  t.regex(String(errors[0]), anotherCopy)
})
