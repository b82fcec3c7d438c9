import { once } from 'node:events'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { request, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import path from 'node:path'
import test from 'ava'
import { fileEngine, openShop, type Shop } from './shop.ts'
import { formOn, Visitor } from './visitor.ts'

const engines = ['memory', 'file'] as const
/** One shop per engine for the tests that need no shop of their own. */
const shops = new Map<(typeof engines)[number], Shop>()
const ends: (() => Promise<void>)[] = []

test.before('the shops open', async () => {
  const owner = { teardown: (end: () => Promise<void>): void => void ends.push(end) }
  shops.set('memory', await openShop(owner))
  shops.set('file', await openShop(owner, await fileEngine()))
})

test.after.always('the shops close', async () => {
  for (const end of ends.toReversed()) await end()
})

/** Where the shop on that engine is. */
function urlOf(engine: (typeof engines)[number] = 'memory'): string {
  return shops.get(engine)?.url ?? ''
}

/** A new visitor of the shop on that engine. */
function visitor(engine?: (typeof engines)[number]): Visitor {
  return new Visitor(urlOf(engine))
}

const login = { name: 'Ada', password: 'koa' }

/** The row of a key on the page "What is in your session", without its tags. */
function sessionRow(html: string, key: string): string | undefined {
  const row = html.split('<tr>').find((text) => text.includes(`<code>${key}</code>`))
  return row
    ?.split('</tr>')[0]
    ?.replace(/<[^>]*>/g, ' ')
    .replace(/&#39;/g, "'")
    .replace(/\s+/g, ' ')
    .trim()
}

test('a cart is a Cart again after the shop was killed: its methods run, its dates are dates, its money is exact', async (t) => {
  const { env } = await fileEngine()
  const first = await openShop(t, { env })
  const ada = new Visitor(first.url)
  await ada.fill('/', '/cart/mug/add')
  await ada.fill('/', '/cart/mug/add')
  await ada.fill('/', '/cart/candle/add')
  const before = (await ada.see('/cart')).html
  t.deepEqual(await first.end('SIGKILL'), { code: null, signal: 'SIGKILL' })

  const second = await openShop(t, { env })
  const again = ada.at(second.url)
  const after = (await again.see('/cart')).html
  t.true(after.includes('Order for €38.90'), 'the getter `total` of the class')
  t.true(after.includes('3 things'), 'the getter `count` of the class')
  const times = (html: string): readonly string[] => html.match(/<time datetime="[^"]+">[^<]+</g) ?? []
  t.is(times(after).length, 2)
  t.deepEqual(times(after), times(before))

  const { html } = await again.see('/session')
  const row = sessionRow(html, 'cart')
  t.regex(row ?? '', /^cart Cart Cart \{ lines: \[ CartLine \{/)
  t.regex(row ?? '', /price: 1450n, quantity: 2, addedAt: \d{4}-\d\d-\d\dT/)
  t.regex(sessionRow(html, 'asta') ?? '', /^asta number 6$/)

  const changed = await again.fill('/cart', '/cart/mug/change', { quantity: '98' })
  t.true(changed.html.includes('Order for €1430.90'), 'and its methods change it')
  await again.fill('/', '/cart/mug/add')
  const full = await again.fill('/', '/cart/mug/add')
  t.is(full.status, 200, 'there is a limit, and reaching it is no error')
  t.true((await again.see('/cart')).html.includes('Order for €1445.40'))
})

for (const engine of engines) {
  test(`${engine}: 20 parallel adds to the cart lose none`, async (t) => {
    const ada = visitor(engine)
    const page = (await ada.see('/')).html
    const skus = ['mug', 'bowl', 'clock', 'cards']
    const adds = Array.from({ length: 20 }, async (_, index) => {
      const action = `/cart/${skus[index % skus.length]}/add`
      return ada.sendOnly(action, formOn(page, action))
    })
    t.deepEqual([...new Set((await Promise.all(adds)).map(({ status }) => status))], [303])
    const cart = (await ada.see('/cart')).html
    t.true(cart.includes('20 things'))
    for (const sku of skus) t.regex(cart, new RegExp(`id="quantity-${sku}"[^>]*value="5"`))
  })

  test(`${engine}: two changes of quantities at once are both kept`, async (t) => {
    const ada = visitor(engine)
    const skus = ['mug', 'bowl', 'clock', 'cards', 'lamp']
    for (const sku of skus) await ada.fill('/', `/cart/${sku}/add`)
    const page = (await ada.see('/cart')).html
    const changes = skus.map(async (sku, index) => {
      const action = `/cart/${sku}/change`
      return ada.sendOnly(action, { ...formOn(page, action), quantity: String(index) })
    })
    await Promise.all(changes)
    const cart = (await ada.see('/cart')).html
    t.false(cart.includes('quantity-mug'), 'set to 0')
    t.true(cart.includes('10 things'), '1 + 2 + 3 + 4')
  })

  test(`${engine}: an order that is sent five times at once is placed once`, async (t) => {
    const ada = visitor(engine)
    await ada.fill('/', '/cart/teapot/add')
    const form = formOn((await ada.see('/cart')).html, '/orders')
    const answers = await Promise.all(Array.from({ length: 5 }, async () => ada.sendOnly('/orders', form)))
    t.deepEqual([...new Set(answers.map(({ status }) => status))], [303])
    t.deepEqual([...new Set(answers.map(({ headers }) => headers.get('location')))], ['/orders'])
    const late = await ada.send('/orders', form)
    t.is(late.html.match(/<h2 id="order-/g)?.length, 1)
    t.true(late.html.includes('Total €39.90'))
    t.true((await ada.see('/cart')).html.includes('It is empty'))
  })
}

test('an order is only for what its page showed; what another tab adds meanwhile stays in the cart', async (t) => {
  const ada = visitor()
  await ada.fill('/', '/cart/mug/add')
  const stale = formOn((await ada.see('/cart')).html, '/orders')
  await ada.fill('/', '/cart/mug/add')
  const refused = await ada.send('/orders', stale)
  t.regex(refused.flash ?? '', /has changed in another window/)
  t.false(refused.html.includes('href="/orders"'), 'nothing was ordered')

  const form = formOn(refused.html, '/orders')
  const page = (await ada.see('/')).html
  const add = '/cart/lamp/add'
  await Promise.all([ada.sendOnly('/orders', form), ada.sendOnly(add, formOn(page, add))])
  const cart = (await ada.see('/cart')).html
  t.true(cart.includes('quantity-lamp'))
  const total = /Order for €([\d.]+)/.exec(cart)?.[1]
  // Whoever came first, nothing is lost and nothing is bought unseen.
  const ordered = (await ada.see('/orders')).html.includes('2 × Stoneware mug, €29.00')
  t.is(total, ordered ? '64.50' : '93.50')
})

test('login gives the session a new ID, keeps the cart, and leaves the old cookie anonymous', async (t) => {
  const ada = visitor('file')
  await ada.fill('/', '/cart/fern/add')
  const thief = await ada.copy()
  const before = await ada.cookie()
  const stale = formOn((await ada.see('/')).html, '/cart/fern/add')
  const welcome = await ada.fill('/login', '/login', login)
  t.is(welcome.flash, 'You are logged in, Ada.')
  t.true(welcome.html.includes('Hello, <strong>Ada</strong>'))
  t.true(welcome.html.includes('Cart (1)'))
  const after = await ada.cookie()
  t.truthy(after)
  t.not(after, before)
  t.is((await ada.sendOnly('/cart/fern/add', stale)).status, 403, 'forms from before the login are void')

  const seen = await thief.see('/')
  t.false(seen.html.includes('Ada'))
  t.true(seen.html.includes('Cart (0)'))
  t.true(seen.html.includes('This is your first visit'))
  t.not(await thief.cookie(), before, 'an ID that is not known is not adopted')
})

test('a wrong password logs nobody in, and the form keeps the name', async (t) => {
  const eve = visitor()
  await eve.see('/')
  const before = await eve.cookie()
  const seen = await eve.fill('/login', '/login', { name: '<b>"Eve"', password: 'wrong' })
  t.is(seen.status, 422)
  t.true(seen.html.includes('value="&#60;b&#62;&#34;Eve&#34;"'))
  t.regex(seen.html, /role="alert"[^>]*>\s*That is not the password/)
  t.is(await eve.cookie(), before)
  t.is((await eve.fill('/login', '/login', { name: ' ', password: 'koa' })).status, 422)
  t.is((await eve.fill('/login', '/login', { name: 'x'.repeat(41), password: 'koa' })).status, 422)
  t.false((await eve.see('/')).html.includes('Hello,'))
})

test('logout ends the session: a replayed cookie is anonymous, and what was in it is gone from the disk', async (t) => {
  const { env, folder } = await fileEngine()
  const shop = await openShop(t, { env })
  const ada = new Visitor(shop.url)
  await ada.fill('/login', '/login', { ...login, name: 'Zebedee' })
  await ada.fill('/', '/cart/clock/add')
  const thief = await ada.copy()
  t.true((await thief.see('/')).html.includes('Zebedee'), 'while it lives, a copied cookie is the visitor')
  t.true((await textOf(folder)).includes('Zebedee'))

  const goodbye = await ada.fill('/', '/logout')
  t.is(goodbye.flash, 'You are logged out.')
  t.true(goodbye.html.includes('Cart (0)'))
  const seen = await thief.see('/')
  t.false(seen.html.includes('Zebedee'))
  t.true(seen.html.includes('This is your first visit'))
  t.false((await textOf(folder)).includes('Zebedee'))
})

test('the disk holds no session ID', async (t) => {
  const { env, folder } = await fileEngine()
  const shop = await openShop(t, { env })
  const ada = new Visitor(shop.url)
  await ada.fill('/login', '/login', login)
  const id = await ada.cookie()
  t.is(id?.length, 43)
  const text = await textOf(folder)
  t.true(text.includes('Ada'), 'the search looks in the right place')
  t.false(text.includes(id ?? ''))
})

test('a flash message is shown once', async (t) => {
  const ada = visitor()
  const first = await ada.fill('/', '/cart/cards/add')
  t.is(first.flash, 'Ten postcards: in your cart.')
  t.is((await ada.see('/')).flash, undefined)
})

test('the visit counter counts the front page, for each visitor apart', async (t) => {
  const ada = visitor()
  const bob = visitor()
  t.true((await ada.see('/')).html.includes('This is your first visit'))
  await ada.see('/cart')
  t.regex((await ada.see('/')).html, /visit number <strong>2</)
  t.true((await bob.see('/')).html.includes('This is your first visit'))
  await Promise.all(Array.from({ length: 10 }, async () => ada.see('/')))
  t.regex((await ada.see('/')).html, /visit number <strong>13</)
})

test('a form with a forged, foreign or missing token is refused with 403 and changes nothing', async (t) => {
  const ada = visitor()
  const eve = visitor()
  const action = '/cart/mug/add'
  const own = formOn((await ada.see('/')).html, action)
  const foreign = formOn((await eve.see('/')).html, action)
  const token = own['csrf'] ?? ''
  const [salt = '', signature = ''] = token.split('.')
  const forged = [
    foreign,
    {},
    { csrf: '' },
    { csrf: '.' },
    { csrf: salt },
    { csrf: `${salt}.` },
    { csrf: `${salt}x.${signature}` },
    { csrf: `${salt}.${signature.slice(0, -1)}` },
    { csrf: `${salt}.${signature}=` },
    { csrf: `${salt}.${'é'.repeat(43)}` },
    { 'csrf[]': token },
    { 'csrf[salt]': token },
  ]
  for (const fields of forged) {
    const seen = await ada.sendOnly(action, fields)
    t.is(seen.status, 403, JSON.stringify(Object.keys(fields)))
    t.true(seen.html.includes('<h1>That form is not valid any more</h1>'))
  }
  t.is((await visitor().sendOnly(action, own)).status, 403, 'nor does it work without the cookie')
  t.true((await ada.see('/')).html.includes('Cart (0)'))
  t.is((await ada.send(action, own)).flash, 'Stoneware mug: in your cart.', 'while the genuine one works')
})

test('the token is another text on each page', async (t) => {
  const ada = visitor()
  const tokens = [await ada.see('/login'), await ada.see('/login')].map(
    ({ html }) => formOn(html, '/login')['csrf'],
  )
  t.is(new Set(tokens).size, 2)
})

test('a cookie with anything at all in it is an anonymous visit', async (t) => {
  const garbage = [
    '',
    'x',
    '../../etc/passwd',
    '%zz',
    '%00',
    '__proto__',
    "' OR 1=1 --",
    'A'.repeat(43),
    `${'A'.repeat(42)}B`,
    'A'.repeat(10_000),
    '"quoted"',
    '\u00ff\u00fe',
    'a; sid=b; sid=c; sid=d',
    '0'.repeat(64),
  ]
  for (const value of garbage) {
    const response = await fetch(urlOf('file'), { headers: { cookie: `sid=${value}` } })
    t.is(response.status, 200)
    t.true((await response.text()).includes('This is your first visit'))
  }
})

test('what a client sends wrongly is answered with a page that says so, never with a 5xx', async (t) => {
  const ada = visitor()
  const page = await ada.see('/')
  const token = formOn(page.html, '/cart/mug/add')
  const status = async (path: string, fields = token): Promise<number> =>
    (await ada.sendOnly(path, fields)).status
  t.is((await ada.see('/nowhere')).status, 404)
  t.true((await ada.see('/nowhere')).html.includes('<h1>There is nothing here</h1>'))
  t.is(await status('/cart/gold/add'), 404)
  t.is(await status('/cart/__proto__/add'), 404)
  t.is(await status('/cart/%E0%A4%A/add'), 404)
  t.is(await status('/session'), 405)
  await ada.send('/cart/mug/add', token)
  for (const quantity of ['', '-1', '100', '1.5', '1e1', ' 1', 'NaN', '٣']) {
    t.is(await status('/cart/mug/change', { ...token, quantity }), 422, quantity)
  }
  t.is(await status('/cart/mug/change', { ...token, quantity: '7'.repeat(20_000) }), 413)
  const json = { method: 'POST', body: '{"csrf"', headers: { 'content-type': 'application/json' } }
  t.is((await fetch(`${urlOf()}/login`, json)).status, 403)
  t.true((await ada.see('/cart')).html.includes('One thing'))
  t.is((await fetch(urlOf(), { method: 'PROPFIND' })).status, 403)
})

test('every page tells the browser to keep no copy and to run no script', async (t) => {
  const ada = visitor()
  for (const path of ['/', '/cart', '/orders', '/login', '/session', '/nowhere']) {
    const { headers, html } = await ada.see(path)
    t.is(headers.get('cache-control'), 'no-store', path)
    t.regex(headers.get('content-security-policy') ?? '', /default-src 'none'/, path)
    t.false(/<script|style="|javascript:/i.test(html), path)
    t.is(html.match(/<h1>/g)?.length, 1, path)
  }
})

test('the page about the session shows keys, types and values, but neither the ID nor a secret', async (t) => {
  const ada = visitor()
  await ada.fill('/login', '/login', { ...login, name: '<i>Ada' })
  await ada.fill('/', '/cart/mug/add')
  await ada.see('/cart')
  const { html } = await ada.see('/session')
  t.is(sessionRow(html, 'asta'), 'asta number 3')
  t.is(sessionRow(html, 'csrf'), 'csrf string kept secret')
  t.is(sessionRow(html, 'checkout'), 'checkout string kept secret')
  t.is(sessionRow(html, 'user'), "user string '&#60;i&#62;Ada'")
  t.regex(sessionRow(html, 'loggedInAt') ?? '', /^loggedInAt Date \d{4}-\d\d-\d\dT/)
  t.false(html.includes('<i>Ada'))
  t.false(html.includes((await ada.cookie()) ?? 'no cookie'))
  const [began = '', ends = ''] = [...html.matchAll(/<dd>\s*<time datetime="([^"]+)"/g)].map(
    ([, time = '']) => time,
  )
  t.is(Math.round((Date.parse(ends) - Date.parse(began)) / 600_000), 6, 'it lives for an hour')
})

test('the page about a session that holds nothing stores nothing', async (t) => {
  const { env, folder } = await fileEngine()
  const shop = await openShop(t, { env })
  const bob = new Visitor(shop.url)
  t.true((await bob.see('/session')).html.includes('It is empty, so nothing is stored'))
  t.true((await bob.see('/cart')).html.includes('It is empty'))
  t.is(await bob.cookie(), undefined)
  t.is(await textOf(folder), '')
})

test('a store in trouble is a friendly 503, and what needs no session still works', async (t) => {
  const { env, folder } = await fileEngine()
  const shop = await openShop(t, { env })
  const ada = new Visitor(shop.url)
  await ada.see('/')
  await rm(folder, { recursive: true })
  await writeFile(folder, 'a file where the folder was')
  const seen = await ada.see('/')
  t.is(seen.status, 503)
  t.true(seen.html.includes('<h1>The shop is closed for a moment</h1>'))
  t.is(seen.headers.get('retry-after'), '5')
  t.is(seen.headers.getSetCookie().length, 0)
  t.false(seen.html.includes(folder), 'and says nothing about the inside')
  t.is((await ada.see('/style.css')).status, 200)
})

test('with SESSION_DEBUG=1 the shop prints a line per event, without ID and value', async (t) => {
  const shop = await openShop(t, { env: { SESSION_DEBUG: '1' } })
  const ada = new Visitor(shop.url)
  await ada.fill('/login', '/login', { ...login, name: 'Zebedee' })
  await ada.fill('/', '/logout')
  const id = await ada.cookie()
  await shop.end('SIGTERM')
  for (const type of ['created', 'loaded', 'committed', 'regenerated', 'destroyed']) {
    t.regex(shop.output(), new RegExp(`^session ${type}`, 'm'))
  }
  t.false(shop.output().includes('Zebedee'))
  t.false(shop.output().includes(id ?? 'no cookie'))
})

test('SIGTERM closes the shop cleanly: it exits by itself with 0, and what was committed is there afterwards', async (t) => {
  const { env } = await fileEngine()
  const shop = await openShop(t, { env })
  const ada = new Visitor(shop.url)
  await ada.fill('/', '/cart/mug/add')
  t.deepEqual(await shop.end('SIGTERM'), { code: 0, signal: null })
  t.regex(shop.output(), /The shop is closed\.\n$/)
  const again = await openShop(t, { env })
  t.true((await ada.at(again.url).see('/cart')).html.includes('Order for €14.50'))
})

test('a request that is under way at SIGTERM is answered and kept, and an idle connection holds nothing up', async (t) => {
  const { env } = await fileEngine()
  const shop = await openShop(t, { env })
  const ada = new Visitor(shop.url)
  const port = Number(new URL(shop.url).port)
  const idle = connect(port, '127.0.0.1').on('error', () => {})
  t.teardown(async () => void idle.destroy())
  await once(idle, 'connect')
  const action = '/cart/mug/add'
  const body = new URLSearchParams(formOn((await ada.see('/')).html, action)).toString()
  const half = request(new URL(action, shop.url), {
    method: 'POST',
    agent: false,
    headers: {
      cookie: `sid=${await ada.cookie()}`,
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': body.length,
      expect: '100-continue',
    },
  })
  half.write(body.slice(0, 10))
  await once(half, 'continue') // the shop has begun with it
  const ended = shop.end('SIGTERM')
  while (await answers(port)); // until it takes no new visitors
  half.end(body.slice(10))
  // What `response` is emitted with.
  const [response] = (await once(half, 'response')) as [IncomingMessage]
  t.is(response.resume().statusCode, 303)
  t.deepEqual(await ended, { code: 0, signal: null })
  const again = await openShop(t, { env })
  t.true((await ada.at(again.url).see('/cart')).html.includes('One thing'))
})

test('a wrong setting stops the start with a sentence', async (t) => {
  const error = await t.throwsAsync(openShop(t, { env: { SESSION_PROVIDER: 'redsi' } }))
  t.regex(
    error?.message ?? '',
    /The shop cannot open: provider: is not the name of a provider; did you mean redis\?/,
  )
})

/** Whether somebody accepts connections there. */
async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** The text of all files below a folder. */
async function textOf(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  return (
    await Promise.all(files.map(async (file) => readFile(path.join(file.parentPath, file.name), 'utf8')))
  ).join('\n')
}
