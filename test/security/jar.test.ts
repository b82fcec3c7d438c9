import test from 'ava'
import Koa from 'koa'
import { session, type CookieOptions } from '../../src/index.ts'
import { serve } from '../support/client.ts'
import { Jar } from './jar.ts'

const kinds: readonly (readonly [name: string, cookie: CookieOptions])[] = [
  ['sid', {}],
  ['sid', { secure: true, sameSite: 'none', partitioned: true }],
  ['sid', { domain: 'example.test', path: '/shop', maxAge: 60_000 }],
  ['sid', { domain: '.shop.example.test', httpOnly: false, sameSite: 'strict' }],
  ['__Secure-sid', { secure: true, domain: 'example.test' }],
  ['__Host-sid', { secure: true }],
  ['__Host-sid', { secure: true, partitioned: true, sameSite: 'none', maxAge: 400 * 86_400_000 }],
]

for (const [name, cookie] of kinds) {
  const title = `${name} ${JSON.stringify(cookie)}`
  test(`security 28 and 30: a strict browser stores the cookie, and deletes it at logout: ${title}`, async (t) => {
    const app = new Koa({ proxy: true }).use(session({ name, cookie }))
    app.use(async (ctx) => {
      if (ctx.path === '/shop/in') ctx.session.set('user', 'ann')
      if (ctx.path === '/shop/renew') ctx.session.regenerate()
      if (ctx.path === '/shop/out') await ctx.session.destroy()
      ctx.body = String(ctx.session.get('user'))
    })
    const { client } = await serve(t, app)
    const origin = 'https://www.shop.example.test'
    const jar = new Jar(origin)
    const visit = async (path: string): Promise<string> => {
      const headers = { 'x-forwarded-proto': 'https', cookie: jar.header(path) }
      const { text, setCookies } = await client().get(path, { headers })
      for (const line of setCookies) jar.store(line)
      return text
    }
    await visit('/shop/in')
    t.deepEqual([jar.names, jar.dropped], [[name], []])
    await visit('/shop/renew')
    t.deepEqual(jar.names, [name])
    t.is(await visit('/shop/who'), 'ann')
    await visit('/shop/out')
    t.deepEqual([jar.names, jar.dropped], [[], []])
    t.is(await visit('/shop/who'), 'undefined')
  })
}

test('security 28: the strict jar drops what a browser drops', (t) => {
  const jar = new Jar('https://example.test')
  for (const line of [
    '__Host-a=1; Secure; Path=/; Domain=example.test',
    '__host-a=1; Secure; Path=/x',
    '__Secure-a=1; Path=/',
    'a=1; SameSite=None',
    'a=1; Partitioned',
    'a=1; Domain=other.test',
    `a=${'x'.repeat(4096)}`,
  ]) {
    jar.store(line)
  }
  t.deepEqual([jar.names, jar.dropped.length], [[], 7])
})
