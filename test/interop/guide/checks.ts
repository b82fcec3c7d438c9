// What the clients of the shop see. The same checks drive it on koa-session and after each step of the migration.
import type { Client } from '../../support/client.ts'

/** Asserts that what a client sees is what it should. */
export type Check = (name: string, actual: unknown, expected: unknown) => void

/** One visitor of the shop, who fetches a form before each thing that is sent. */
class Visitor {
  readonly client: Client

  constructor(client: Client) {
    this.client = client
  }

  async get(path: string): Promise<unknown> {
    return outcome(await this.client.get(path))
  }

  async post(path: string, body: object = {}, token?: string): Promise<unknown> {
    const form = token ?? (await this.client.get('/form')).text
    const headers = { 'content-type': 'application/json', 'x-csrf-token': form }
    return outcome(await this.client.get(path, { method: 'POST', headers, body: JSON.stringify(body) }))
  }

  /** Another browser with the same cookies. */
  thief(): Visitor {
    return new Visitor(this.client.clone())
  }
}

function outcome({ status, text }: { readonly status: number; readonly text: string }): unknown {
  const body: unknown = /^[[{]/.test(text) ? JSON.parse(text) : text
  return status === 200 ? body : [status, body]
}

/** @returns how many checks were made */
export async function check(newClient: () => Client, assert: Check): Promise<number> {
  let checks = 0
  const same: Check = (name, actual, expected) => {
    checks += 1
    assert(name, actual, expected)
  }
  const visitor = (): Visitor => new Visitor(newClient())

  // A guest
  const ann = visitor()
  same('a first visit', await ann.get('/'), { user: 'a guest', views: 1, theme: 'light', messages: [] })
  same('a second visit is counted', await ann.get('/'), {
    user: 'a guest',
    views: 2,
    theme: 'light',
    messages: [],
  })
  same('settings are stored', await ann.post('/settings', { theme: 'dark', language: 'de' }), 'saved')
  same('and read', await ann.get('/settings'), { theme: 'dark', language: 'de' })
  same('and reset', await ann.post('/settings/reset'), 'reset')
  same('to the defaults', await ann.get('/settings'), { theme: 'light', language: 'en' })
  same('a form without its token is refused', await ann.post('/settings', {}, 'wrong'), [
    403,
    'Invalid CSRF token',
  ])
  const other = visitor()
  await other.get('/form')
  const { text: annsToken } = await ann.client.get('/form')
  same('a token of another session is refused', await other.post('/settings', {}, annsToken), [
    403,
    'Invalid CSRF token',
  ])
  same('a cart begins', await ann.post('/cart/add', { product: 'tea' }), [{ product: 'tea', count: 1 }])
  same('and is counted in place', await ann.post('/cart/add', { product: 'tea' }), [
    { product: 'tea', count: 2 },
  ])
  await ann.post('/cart/add', { product: 'cup' })
  same('an unknown product is refused', await ann.post('/cart/add', { product: 'car' }), [
    404,
    'no such product',
  ])
  same('the cart has a total', await ann.get('/cart'), {
    lines: [
      { product: 'tea', count: 2 },
      { product: 'cup', count: 1 },
    ],
    total: 15,
  })
  same('a product is removed', await ann.post('/cart/remove', { product: 'cup' }), [
    { product: 'tea', count: 2 },
  ])
  same('no order without a log-in', await ann.post('/checkout'), [401, 'log in'])
  same('nor an account', await ann.get('/account'), [401, 'log in'])

  // Log-in with a second factor
  same('a wrong password', await ann.post('/login', { username: 'ann', password: 'no' }), [
    401,
    { failures: 1 },
  ])
  same('another one', await ann.post('/login', { username: 'ann', password: 'no' }), [401, { failures: 2 }])
  const before = ann.thief()
  same('the password', await ann.post('/login', { username: 'ann', password: 'tea' }), {
    user: 'ann',
    returnTo: '/account',
    mfa: true,
  })
  same('the ID from before the log-in opens nothing', await before.get('/cart'), { lines: [], total: 0 })
  same('without the code the account is closed', await ann.get('/account'), [403, 'second factor'])
  same('and so is the order', await ann.post('/checkout'), [403, 'second factor'])
  same('a wrong code', await ann.post('/mfa', { code: '0' }), [401, 'wrong code'])
  const halfway = ann.thief()
  same('the code', await ann.post('/mfa', { code: '123456' }), 'welcome')
  same('the ID from before the code opens nothing', await halfway.get('/account'), [401, 'log in'])
  same('the account is open', await ann.get('/account'), { user: 'ann', isFresh: true })
  same('a message is shown', await ann.get('/'), {
    user: 'ann',
    views: 3,
    theme: 'light',
    messages: ['Welcome'],
  })
  same('once', await ann.get('/'), { user: 'ann', views: 4, theme: 'light', messages: [] })
  same('a code that is not due', await ann.post('/mfa', { code: '1' }), [400, 'no second factor is due'])
  same('the cart has come along', await ann.get('/cart'), { lines: [{ product: 'tea', count: 2 }], total: 8 })
  same('an order', await ann.post('/checkout'), [1])
  same('empties the cart', await ann.get('/cart'), { lines: [], total: 0 })
  same('which cannot be ordered again', await ann.post('/checkout'), [400, 'the cart is empty'])
  same('a message tells of the order', await ann.get('/'), {
    user: 'ann',
    views: 5,
    theme: 'light',
    messages: ['1 products are ordered'],
  })

  // Roles
  same('a customer is no administrator', await ann.get('/admin'), [403, 'only for admin'])
  same('and acts for no other one', await ann.post('/impersonate/bob'), [403, 'only for admin'])
  const eve = visitor()
  same('an administrator logs in', await eve.post('/login', { username: 'eve', password: 'root' }), {
    user: 'eve',
    returnTo: '/',
    mfa: false,
  })
  same('the administration', await eve.get('/admin'), ['ann', 'bob', 'eve'])
  same('acts for a customer', await eve.post('/impersonate/bob'), 'bob')
  same('is seen as the customer', await eve.get('/'), {
    user: 'bob',
    views: 1,
    theme: 'light',
    messages: [],
    actingFor: 'bob',
  })
  same('is no administrator meanwhile', await eve.get('/admin'), [403, 'only for admin'])
  same('and again', await eve.post('/impersonation/end'), 'eve')
  same('is one', await eve.get('/admin'), ['ann', 'bob', 'eve'])
  same('an end without a beginning', await eve.post('/impersonation/end'), [
    400,
    'no customer is impersonated',
  ])

  // The end
  const bob = visitor()
  const form = (await bob.client.get('/form')).text
  const { setCookies } = await bob.client.get('/login', {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-csrf-token': form },
    body: JSON.stringify({ username: 'bob', password: 'milk', remember: 'on' }),
  })
  same('"remember me" makes a cookie of 30 days', daysOf(setCookies), 30)
  const stolen = bob.thief()
  same('a log-out', await bob.post('/logout'), 'out')
  same('closes the account', await bob.get('/account'), [401, 'log in'])
  same('for a copy of the cookie too', await stolen.get('/account'), [401, 'log in'])
  const copy = eve.thief()
  same('a session is forgotten', await eve.post('/forget-me'), 'forgotten')
  same('with all in it', await copy.get('/session'), { keys: [] })
  const tired = visitor()
  await tired.post('/login', { username: 'ann', password: 'tea' })
  await tired.post('/mfa', { code: '1' })
  await tired.post('/mfa', { code: '2' })
  same('after three wrong codes', await tired.post('/mfa', { code: '3' }), [403, 'logged out'])
  same('the password is asked for again', await tired.get('/account'), [401, 'log in'])
  same('a bug is an error', await ann.post('/broken'), [500, 'Internal Server Error'])
  same('and the session goes on', await ann.get('/account'), { user: 'ann', isFresh: true })
  return checks
}

function daysOf(setCookies: readonly string[]): number | undefined {
  const line = setCookies.find((each) => /^\w+=[^;]/.test(each) && !each.includes('.sig='))
  const [, maxAge] = /max-age=(\d+)/i.exec(line ?? '') ?? []
  const [, expires] = /expires=([^;]+)/i.exec(line ?? '') ?? []
  const ms = maxAge === undefined ? Date.parse(expires ?? '') - Date.now() : Number(maxAge) * 1000
  return Math.round(ms / 86_400_000)
}
