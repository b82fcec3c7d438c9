import { mkdir } from 'node:fs/promises'
import test from 'ava'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { faultsOf, openBrowser } from './browser.ts'
import { cookieEngine, fileEngine, openShop, type Shop } from './shop.ts'
import { formOn } from './visitor.ts'

let browser: Browser
let shared: Shop
const ends: (() => Promise<void>)[] = []

test.before('a browser and a shop open', async () => {
  await mkdir('.cache', { recursive: true })
  shared = await openShop({ teardown: (end) => void ends.push(end) })
  browser = await openBrowser()
})

test.after.always('they close', async () => {
  await browser?.close()
  for (const end of ends.toReversed()) await end()
})

/** A browser window of somebody new; without scripts, since the shop needs none. */
async function person(t: { teardown(end: () => Promise<void>): void }, url: string): Promise<BrowserContext> {
  const context = await browser.newContext({ baseURL: url, javaScriptEnabled: false })
  t.teardown(async () => context.close())
  context.setDefaultTimeout(15_000)
  return context
}

async function add(page: Page, product: string): Promise<void> {
  await page.getByRole('listitem').filter({ hasText: product }).getByRole('button').click()
  await page
    .getByRole('status')
    .filter({ hasText: `${product}: in your cart.` })
    .waitFor()
}

async function logIn(page: Page, name = 'Ada'): Promise<void> {
  await page.getByRole('link', { name: 'Log in' }).click()
  await page.getByLabel('Name').fill(name)
  await page.getByLabel('Password').fill('koa')
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByText(`Hello, ${name}`).waitFor()
}

test('somebody looks around, logs in, fills a cart, loses the shop to kill -9, orders, and logs out', async (t) => {
  const { env } = await fileEngine()
  const first = await openShop(t, { env })
  const page = await (await person(t, first.url)).newPage()
  await page.goto('/')
  await page.getByText('This is your first visit.').waitFor()
  await page.screenshot({ path: '.cache/shop-home.png' })
  await add(page, 'Stoneware mug')
  await logIn(page)
  await add(page, 'Stoneware mug')
  await add(page, 'Beeswax candle')
  await page.getByRole('link', { name: 'Cart (3)' }).click()
  await page.screenshot({ path: '.cache/shop-cart.png' })
  const times = await page.locator('tbody time').allTextContents()

  await first.end('SIGKILL')
  await t.throwsAsync(page.reload(), undefined, 'the shop is down')
  const second = await openShop(t, { env })

  await page.goto(`${second.url}/cart`) // cookies know no ports
  await page.getByText('Hello, Ada').waitFor()
  t.deepEqual(await page.locator('tbody time').allTextContents(), times)
  await page.getByLabel('Quantity of Stoneware mug').fill('5')
  await page.getByRole('row', { name: 'Stoneware mug' }).getByRole('button', { name: 'Update' }).click()
  await page.getByRole('status').filter({ hasText: 'Stoneware mug: now 5.' }).waitFor()
  await page.getByRole('row', { name: 'Beeswax candle' }).getByRole('button', { name: 'Remove' }).click()
  await page.getByRole('status').filter({ hasText: 'Beeswax candle: taken out.' }).waitFor()
  await page.getByRole('link', { name: 'Your session' }).click()
  await page.getByRole('cell', { name: 'Cart { lines:' }).waitFor()
  await page.screenshot({ path: '.cache/shop-session.png', fullPage: true })
  await page.getByRole('link', { name: 'Cart (5)' }).click()
  await page.getByRole('button', { name: 'Order for €72.50' }).dblclick()
  await page.getByRole('heading', { name: 'Your orders' }).waitFor()
  await page.goto(`${second.url}/orders`)
  await page.getByText('5 × Stoneware mug, €72.50').waitFor()
  t.is(await page.getByRole('heading', { level: 2 }).count(), 1, 'a double click orders once')
  await page.screenshot({ path: '.cache/shop-orders.png' })
  await page.reload()
  t.is(await page.getByRole('heading', { level: 2 }).count(), 1, 'and so does a reload')
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByText('You are logged out.').waitFor()
  t.is(await page.getByText('Ada').count(), 0)
})

test('after logout the back button shows nothing of the one who was there', async (t) => {
  const page = await (await person(t, shared.url)).newPage()
  await page.goto('/')
  await logIn(page, 'Grace')
  await add(page, 'Wall clock')
  await page.getByRole('link', { name: 'Cart (1)' }).click()
  await page.getByRole('rowheader', { name: 'Wall clock' }).waitFor()
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByText('You are logged out.').waitFor()
  await page.goBack()
  await page.getByText('It is empty.').waitFor()
  t.is(await page.getByText('Grace').count(), 0)
  t.is(await page.getByText('Wall clock').count(), 0)
})

test('the form to log in works by keyboard alone, and the focus can be seen', async (t) => {
  const page = await (await person(t, shared.url)).newPage()
  await page.goto('/login')
  await page.keyboard.press('Tab')
  const skip = page.getByRole('link', { name: 'Skip to the content' })
  const box = await skip.boundingBox()
  t.true(box !== null && box.y >= 0, 'the first stop is the skip link, which then is in view')
  await page.keyboard.press('Enter')
  await page.keyboard.press('Tab')
  const outline = await page.evaluate<string>('getComputedStyle(document.activeElement).outline')
  t.is(await page.evaluate('document.activeElement.id'), 'name')
  t.regex(outline, /solid/)
  t.regex(outline, /3px/)
  await page.keyboard.type('Lin')
  await page.keyboard.press('Tab')
  await page.keyboard.type('wrong')
  await page.keyboard.press('Enter')
  await page.getByRole('alert').filter({ hasText: 'That is not the password' }).waitFor()
  await page.screenshot({ path: '.cache/shop-login.png' })
  t.is(await page.getByLabel('Name').inputValue(), 'Lin')
  await page.getByLabel('Password').focus()
  await page.keyboard.type('koa')
  await page.keyboard.press('Enter')
  await page.getByText('Hello, Lin').waitFor()
  t.is(new URL(page.url()).pathname, '/')
})

test('two tabs that add at the same moment lose nothing', async (t) => {
  const context = await person(t, shared.url)
  const one = await context.newPage()
  await one.goto('/')
  const other = await context.newPage()
  for (const [left, right] of [
    ['Stoneware mug', 'Potted fern'],
    ['Five pencils', 'Five pencils'],
    ['Breakfast bowl', 'Ten postcards'],
  ] as const) {
    await one.goto('/')
    await other.goto('/')
    await Promise.all(
      [one, other].map(async (page, index) => {
        const product = page.getByRole('listitem').filter({ hasText: index === 0 ? left : right })
        const answer = page.waitForResponse((response) => response.request().method() === 'POST')
        await product.getByRole('button').click()
        t.is((await answer).status(), 303)
      }),
    )
  }
  await one.goto('/cart')
  await one.getByText('6 things').waitFor()
  t.is(await one.getByLabel('Quantity of Five pencils').inputValue(), '2')
  t.is(await one.locator('tbody tr').count(), 5)
})

test('of two browsers of one user each can log the other out, and an address takes a fresh login', async (t) => {
  const [laptop, phone] = await Promise.all(
    ['laptop', 'phone'].map(async () => (await person(t, shared.url)).newPage()),
  )
  if (laptop === undefined || phone === undefined) return t.fail()
  for (const page of [laptop, phone]) {
    await page.goto('/')
    await logIn(page, 'Hedy') // whom no other test is: they share the shop
  }
  await laptop.getByRole('link', { name: 'Account' }).click()
  await laptop.locator('.devices li').nth(1).waitFor() // to count does not wait for the page
  t.is(await laptop.locator('.devices li').count(), 2)
  await laptop.getByRole('button', { name: 'Log out Chrome' }).click()
  await laptop.getByText('That device is logged out.').waitFor()
  await phone.getByRole('link', { name: 'Cart' }).click()
  await phone.getByRole('link', { name: 'Log in' }).waitFor()

  await logIn(phone, 'Hedy')
  await phone.getByRole('link', { name: 'Account' }).click()
  await phone.getByRole('button', { name: 'Log out all others' }).click()
  await phone.getByText('Logged out elsewhere: 1.').waitFor()
  await laptop.reload()
  await laptop.getByRole('link', { name: 'Log in' }).waitFor()

  await phone.getByLabel('Address').fill('1 Long Lane')
  await phone.getByRole('button', { name: 'Change' }).click()
  await phone.getByText('Your address is changed.').waitFor()
  t.is(await phone.getByLabel('Address').inputValue(), '1 Long Lane')
})

test('the cookie is what a browser keeps safe: HttpOnly, SameSite=Lax, for the whole site, until it closes', async (t) => {
  const context = await person(t, shared.url)
  const page = await context.newPage()
  await page.goto('/session')
  t.deepEqual(await context.cookies(), [], 'who only looks gets none')
  await page.goto('/')
  const [cookie, ...others] = await context.cookies()
  t.deepEqual(others, [])
  t.like(cookie, { name: 'sid', path: '/', httpOnly: true, sameSite: 'Lax', secure: false, expires: -1 })
  await logIn(page)
  const [renewed] = await context.cookies()
  t.not(renewed?.value, cookie?.value)
  t.like(renewed, { name: 'sid', path: '/', httpOnly: true, sameSite: 'Lax', secure: false, expires: -1 })
})

test('a form on another site cannot act for the visitor', async (t) => {
  const context = await person(t, shared.url)
  const page = await context.newPage()
  await page.goto('/')
  await add(page, 'Linen cushion')
  await page.route('http://elsewhere.test/', async (route) =>
    route.fulfill({
      contentType: 'text/html',
      body: `<form method="post" action="${shared.url}/cart/lamp/add"><button>Win a prize</button></form>`,
    }),
  )
  await page.goto('http://elsewhere.test/')
  await page.getByRole('button').click()
  await page.getByRole('heading', { name: 'That form is not valid any more' }).waitFor()
  await page.goto('/cart')
  await page.getByText('One thing').waitFor()
  t.is(await page.getByText('Reading lamp').count(), 0)
})

test('every page is made for everybody: names, landmarks, headings, contrast, on a screen and on a phone', async (t) => {
  const context = await browser.newContext({ baseURL: shared.url })
  t.teardown(async () => context.close())
  context.setDefaultTimeout(15_000)
  const page = await context.newPage()
  const errors: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().includes('404 (Not Found)')) errors.push(message.text())
  })
  const look = async (path: string): Promise<void> => {
    for (const [screen, width] of [
      ['screen', 1200],
      ['phone', 360],
    ] as const) {
      await page.setViewportSize({ width, height: 800 })
      await page.goto(path)
      t.deepEqual(await faultsOf(page), [], `${path} on a ${screen}`)
      await page.screenshot({ path: `.cache/shop${path.replace('/', '-')}-${screen}.png`, fullPage: true })
    }
  }
  for (const path of ['/', '/cart', '/orders', '/login', '/session', '/nowhere']) await look(path)
  await page.goto('/')
  await logIn(page, 'A name that is as long as a name can be.')
  await add(page, 'Stoneware mug')
  await page.getByRole('link', { name: 'Cart (1)' }).click()
  await page.getByRole('button', { name: 'Order for' }).click()
  await page.getByRole('link', { name: 'Shop' }).click()
  await add(page, 'Small teapot')
  t.deepEqual(await faultsOf(page), [], 'with a flash message')
  for (const path of ['/', '/cart', '/orders', '/session', '/account']) await look(path)
  t.deepEqual(errors, [], 'nothing is blocked by the content security policy or missing')
})

test('on the cookie engine somebody logs in, fills the session past one cookie, logs out, and goes back to nothing', async (t) => {
  const shop = await openShop(t, { env: cookieEngine() })
  const context = await person(t, shop.url)
  const page = await context.newPage()
  await page.goto('/')
  await logIn(page)
  const [only, ...none] = await context.cookies()
  t.deepEqual(none, [])
  t.like(only, { name: 'sid', path: '/', httpOnly: true, sameSite: 'Lax', secure: false, expires: -1 })
  // By the browser's own requests and cookies, though nobody clicks.
  const { request } = context
  for (let order = 0; order < 4; order += 1) {
    const home = await (await request.get('/')).text()
    for (const [, action = ''] of home.matchAll(/action="(\/cart\/\w+\/add)"/g)) {
      t.is((await request.post(action, { form: formOn(home, action), maxRedirects: 0 })).status(), 303)
    }
    await page.goto('/cart')
    await page.getByRole('button', { name: 'Order for' }).click()
    await page.getByRole('heading', { name: `Order ${order + 1}` }).waitFor()
  }
  const cookies = await context.cookies()
  t.deepEqual(cookies.map(({ name }) => name).toSorted(), ['sid', 'sid.1'])
  for (const { name, value, ...attributes } of cookies) {
    t.true(name.length + value.length <= 4_096)
    t.like(attributes, { path: '/', httpOnly: true, sameSite: 'Lax', secure: false, expires: -1 })
  }
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByText('You are logged out.').waitFor()
  t.true(
    (await context.cookies()).every(({ name }) => name === 'sid'),
    'the second cookie is gone',
  )
  await page.goBack()
  t.is(await page.getByText('Ada').count(), 0)
  await page.goto('/orders')
  await page.getByText('There are none yet.').waitFor()
})
