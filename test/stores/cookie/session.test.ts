import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { deflateRawSync } from 'node:zlib'
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import { createKeyRing, type SealKey } from '../../../src/codec/seal/key-ring.ts'
import { Sealer } from '../../../src/codec/seal/sealer.ts'
import { session, SessionError, SessionManager, type SessionOptions } from '../../../src/index.ts'
import { CookieChunks } from '../../../src/koa/cookie-chunks.ts'
import { CookieStore, type CookieStoreOptions } from '../../../src/stores/cookie.ts'
import { FileStore } from '../../../src/stores/file.ts'
import { MemcacheStore } from '../../../src/stores/memcache.ts'
import { MemoryStore } from '../../../src/stores/memory.ts'
import { serve, type Client } from '../../support/client.ts'

const HOUR = 60 * 60 * 1000
const [k1, k2] = [randomBytes(32), randomBytes(32)]

/** A list of ended sessions that forgets none before its time. */
function listOfEnded(now: () => number = Date.now): MemoryStore {
  return new MemoryStore({ now, maxEntries: Infinity, maxBytes: Infinity })
}

interface World {
  readonly client: () => Client
  readonly events: string[]
  readonly errors: SessionError[]
  time: number
}

/** An application on the cookie engine: `/set?a=1` sets, `/fill?bytes=9` makes noise of a length, anything else reads. */
async function world(
  t: ExecutionContext,
  store: Partial<CookieStoreOptions> = {},
  options: Partial<SessionOptions<undefined, 'session'>> = {},
): Promise<World> {
  const events: string[] = []
  const errors: SessionError[] = []
  const made = { events, errors, time: 1_750_000_000_000 }
  const now = (): number => made.time
  const koa = new Koa().use(
    session({
      store: new CookieStore({ keys: [k1], now, ...store }),
      now,
      onEvent: ({ type }) => events.push(type),
      ...options,
    }),
  )
  koa.on('error', (error) => errors.push(error))
  koa.use(async (ctx) => {
    const bytes = Number(ctx.query['bytes'])
    if (ctx.path === '/set') ctx.session.set('a', ctx.query['a'])
    if (ctx.path === '/fill')
      ctx.session.set('fill', randomBytes(bytes).toString('base64url').slice(0, bytes))
    if (ctx.path === '/regenerate') ctx.session.regenerate()
    if (ctx.path === '/end') await ctx.session.destroy()
    if (ctx.path === '/claim') ctx.body = { claimed: await ctx.session.claim('a') }
    if (ctx.path === '/foreign') ctx.cookies.set('theme', 'dark')
    if (ctx.query['throw'] === 'shown') ctx.throw(422, 'shown')
    if (ctx.query['throw'] === 'hidden') throw new Error('hidden')
    ctx.body ??= {
      a: ctx.session.get('a') ?? null,
      fill: ctx.session.get('fill')?.length ?? 0,
      id: ctx.session.id,
    }
  })
  const { client } = await serve(t, koa)
  return Object.assign(made, { client })
}
const seen = async (
  client: Client,
  path = '/',
  cookie?: string,
): Promise<{ a: string | null; fill: number; id: string }> =>
  JSON.parse((await client.get(path, cookie === undefined ? {} : { headers: { cookie } })).text)
const cookieOf = ({ cookies }: Client): string =>
  [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
const namesOf = ({ cookies }: Client): string[] => [...cookies.keys()]

test('a session is read from its cookie, and keeps its ID for all of its life', async (t) => {
  const { client } = await world(t)
  const ann = client()
  const first = await ann.get('/set?a=hello')
  t.regex(first.setCookies[0] ?? '', /^sid=s1\.[\w-]{4}\.[\w-]+; Path=\/; HttpOnly; SameSite=Lax$/)
  t.false(Buffer.from(first.setCookies[0] ?? '', 'base64url').includes('hello'))
  const { id } = JSON.parse(first.text)
  t.regex(id, /^[\w-]{43}$/)
  t.deepEqual(await seen(ann), { a: 'hello', fill: 0, id })
  t.deepEqual((await ann.get('/')).setCookies, [], 'what is only read is not sent again')
  t.not((await seen(ann, '/regenerate')).id, id)
  t.is((await seen(ann)).a, 'hello')
  t.not((await seen(ann)).id, id)
  await ann.get('/end')
  t.deepEqual(namesOf(ann), [])
  t.is((await seen(ann)).a, null)
})

test('a visitor who writes nothing gets no cookie', async (t) => {
  const { client, events } = await world(t)
  const { setCookies } = await client().get('/')
  t.deepEqual([setCookies, events], [[], []])
})

test('security 41: every flipped bit and every cut of the cookie is an anonymous visit', async (t) => {
  const manager = new SessionManager({ store: new CookieStore({ keys: [k1] }) })
  const ann = manager.begin().set('a', 1)
  await manager.commit(ann)
  const credential = manager.credential(ann)
  const bytes = Buffer.from(credential)
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const flipped = Buffer.from(bytes)
    flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
    if ((await manager.find(flipped.toString('latin1'))) !== undefined) t.fail(`bit ${bit}`)
  }
  for (let length = 0; length < credential.length; length += 1) {
    if ((await manager.find(credential.slice(0, length))) !== undefined) t.fail(`${length} characters`)
  }
  t.is((await manager.find(credential))?.get('a'), 1)
})

test('security 41: over HTTP a damaged cookie is served as an anonymous visit', async (t) => {
  const { client, events, errors } = await world(t)
  const ann = client()
  await ann.get('/set?a=1')
  const value = ann.cookies.get('sid') ?? ''
  events.length = 0
  const spoilt = value.split('').flatMap((letter, at) => {
    if (at % 4 > 0) return []
    const other = String.fromCharCode(letter.charCodeAt(0) ^ (1 << (at % 7)))
    return [value.slice(0, at), value.slice(0, at) + other + value.slice(at + 1)]
  })
  for (const text of spoilt.filter((each) => !/[^\x20-\x7e]/.test(each))) {
    const { status, text: body, setCookies } = await client().get('/', { headers: { cookie: `sid=${text}` } })
    t.deepEqual([status, JSON.parse(body).a, setCookies], [200, null, []], text)
  }
  t.deepEqual([new Set(events), errors], [new Set(['unknown']), []])
})

test('security 5: 20,000 Cookie headers made of chunks of real ones are anonymous visits, and none throws', async (t) => {
  const manager = new SessionManager({ store: new CookieStore({ keys: [k1] }) }, 'sid')
  const ann = manager.begin().set('a', randomBytes(4_000).toString('base64url'))
  await manager.commit(ann)
  const chunks = new CookieChunks('sid')
  const parts = chunks.cut(manager.credential(ann)).map((value, at) => `${chunks.names[at]}=${value}`)
  const [seed] = [Date.now() % 1_000_000]
  let state = seed
  const random = (most: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * most)
  }
  const whole = parts.join('; ')
  const odd = [
    'sid=',
    'sid.1=',
    'sid.2=',
    '2!',
    '3!',
    '9!',
    's1.',
    ';',
    '; ',
    '=',
    '"',
    '%00',
    '\u0000',
    'é',
    '.',
    '_',
    '',
  ]
  for (let round = 0; round < 20_000; round += 1) {
    const from = random(whole.length)
    const cut = whole.slice(0, from) + (odd[random(odd.length)] ?? '') + whole.slice(from + random(3))
    const header =
      round % 2 === 0
        ? cut
        : Array.from(
            { length: random(6) },
            () => `${odd[random(odd.length)]}${parts[random(parts.length)]?.slice(random(40))}`,
          ).join('; ')
    for (const credential of chunks.join(header)) {
      const found = await manager.find(credential)
      if (found !== undefined && credential !== manager.credential(ann))
        t.fail(`seed ${seed}, round ${round}`)
    }
  }
  t.is(chunks.join(whole).length, 1)
})

test('security 41: a credential of one cookie is not accepted under another name', async (t) => {
  const store = new CookieStore({ keys: [k1] })
  const koa = new Koa()
    .use(session({ store, name: 'shop' }))
    .use(session({ store, name: 'admin', property: 'admin' }))
  koa.use((ctx) => {
    if (ctx.path === '/set') ctx.session.set('a', 1)
    ctx.body = [ctx.session.get('a') ?? null, ctx.admin.get('a') ?? null]
  })
  const { client } = await serve(t, koa)
  const ann = client()
  await ann.get('/set')
  const value = ann.cookies.get('shop') ?? ''
  const read = async (cookie: string): Promise<unknown> =>
    JSON.parse((await client().get('/', { headers: { cookie } })).text)
  t.deepEqual(await read(`shop=${value}`), [1, null])
  t.deepEqual(await read(`admin=${value}`), [null, null])
  t.deepEqual(await read(`shop=${value}; admin=${value}`), [1, null])
})

test('security 45: a cookie of one application is not accepted by another with the same keys', async (t) => {
  const shop = (await world(t, { name: 'shop' })).client()
  const forum = (await world(t, { name: 'forum' })).client()
  await shop.get('/set?a=1')
  t.is((await seen(shop)).a, '1')
  t.is((await seen(forum, '/', cookieOf(shop))).a, null)
})

test('security 42: nothing unsealed and nothing of another format is read', async (t) => {
  const { client, errors } = await world(t)
  const payload = `kts1 ${'v'.repeat(16)} 1750000000000 10\n"a" J "1"\n`
  const key = createKeyRing([k1], 'keys')[0].id
  for (const text of [payload, '{"a":"1"}'].map((plain) => Buffer.from(plain).toString('base64url'))) {
    for (const value of [text, `s1.${key}.${text}`, `s0.${key}.${text}`, `s1..${text}`, `none.${text}`]) {
      const { status, text: body } = await client().get('/', { headers: { cookie: `sid=${value}` } })
      t.deepEqual([status, JSON.parse(body).a], [200, null], value)
    }
  }
  t.deepEqual(errors, [])
})

test('security 45: the expiry is sealed, on the server’s clock, and use extends it', async (t) => {
  const made = await world(t, {}, { absoluteTimeout: 5 * HOUR, cookie: { maxAge: 30 * 24 * HOUR } })
  const ann = made.client()
  await ann.get('/set?a=1')
  const early = cookieOf(ann)
  made.time += HOUR - 1
  t.is((await seen(ann, '/', early)).a, '1')
  t.is((await seen(ann)).a, '1')
  made.time += 1
  t.is((await seen(made.client(), '/', early)).a, null, 'whatever Max-Age the browser knows of')
  t.is((await seen(ann)).a, '1', 'its use had extended it')
  for (let hours = 1; hours < 5; hours += 0.5) {
    await ann.get('/')
    made.time += HOUR / 2
  }
  t.is((await seen(ann)).a, null, 'but not beyond the absolute timeout')
})

test('an unchanged session is sealed anew when a tenth of the idle time has passed, and not before', async (t) => {
  const made = await world(t)
  const ann = made.client()
  await ann.get('/set?a=1')
  made.time += HOUR / 10
  t.deepEqual((await ann.get('/')).setCookies, [])
  made.time += 1
  t.is((await ann.get('/')).setCookies.length, 1)
  t.deepEqual((await ann.get('/')).setCookies, [])
})

test('a request that changes nothing sends no cookie that could undo what another one changed meanwhile', async (t) => {
  const { client } = await world(t, {}, { cookie: { maxAge: 24 * HOUR } })
  const ann = client()
  await ann.get('/set?a=1')
  const reader = ann.clone()
  await ann.get('/set?a=2')
  t.deepEqual((await reader.get('/')).setCookies, [], 'although the cookie has an age to be renewed')
})

test('a session with an age of its own is renewed in time, however short that is', async (t) => {
  const now = { time: 1_750_000_000_000 }
  const koa = new Koa().use(
    session({ store: new CookieStore({ keys: [k1], now: () => now.time }), now: () => now.time }),
  )
  koa.use((ctx) => {
    if (ctx.path === '/set') ctx.session.set('a', 1).maxAge = 60_000
    ctx.body = String(ctx.session.get('a'))
  })
  const { client } = await serve(t, koa)
  const ann = client()
  t.regex((await ann.get('/set')).setCookies[0] ?? '', /; Max-Age=60;/)
  now.time += 6_000
  t.deepEqual((await ann.get('/')).setCookies, [])
  now.time += 1
  t.regex((await ann.get('/')).setCookies[0] ?? '', /; Max-Age=60;/)
})

test('security 43: a cookie that an older key sealed is sealed anew by the next response', async (t) => {
  const before = (await world(t, { keys: [k1, k2] })).client()
  const after = (await world(t, { keys: [k2, k1] })).client()
  const last = (await world(t, { keys: [k2] })).client()
  await before.get('/set?a=1')
  const old = cookieOf(before)
  t.is((await seen(last, '/', old)).a, null, 'a key that was taken out opens nothing')
  after.cookies.set('sid', before.cookies.get('sid') ?? '')
  const { text, setCookies } = await after.get('/')
  t.is(JSON.parse(text).a, '1')
  t.is(setCookies.length, 1)
  t.deepEqual((await after.get('/')).setCookies, [])
  t.is((await seen(last, '/', cookieOf(after))).a, '1')
})

test('a long session travels in numbered cookies, which go again when it shrinks and when it ends', async (t) => {
  const ann = (await world(t)).client()
  await ann.get('/fill?bytes=8000')
  t.deepEqual(namesOf(ann), ['sid', 'sid.1', 'sid.2'])
  t.is((await seen(ann)).fill, 8000)
  await ann.get('/fill?bytes=4000')
  t.deepEqual(namesOf(ann), ['sid', 'sid.1'])
  t.is((await seen(ann)).fill, 4000)
  const shrunk = await ann.get('/fill?bytes=10')
  t.deepEqual(namesOf(ann), ['sid'])
  t.regex(
    shrunk.setCookies[1] ?? '',
    /^sid\.1=; Max-Age=0; Path=\/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax$/,
  )
  t.is((await seen(ann)).fill, 10)
  await ann.get('/fill?bytes=8000')
  await ann.get('/end')
  t.deepEqual(namesOf(ann), [])
})

test('security 28 and 30: the chunks of a __Host- cookie are __Host- cookies, and go with the same attributes', async (t) => {
  const options = {
    name: '__Host-sid',
    cookie: { secure: true, partitioned: true, sameSite: 'none' },
  } as const
  const koa = new Koa({ proxy: true }).use(session({ ...options, store: new CookieStore({ keys: [k1] }) }))
  koa.use((ctx) => {
    if (ctx.path === '/fill') ctx.session.set('a', randomBytes(6_000).toString('base64url'))
    else ctx.session.clear()
    ctx.body = 'ok'
  })
  const { client } = await serve(t, koa)
  const ann = client()
  const headers = { 'x-forwarded-proto': 'https' }
  const set = (await ann.get('/fill', { headers })).setCookies
  t.is(set.length, 3)
  const removed = (await ann.get('/clear', { headers: { ...headers, cookie: cookieOf(ann) } })).setCookies
  const plain = (line: string): string =>
    line.replace(/=[^;]*/, '').replace(/ Max-Age=0;| Expires=[^;]*;/g, '')
  t.is(plain(set[2] ?? ''), '__Host-sid.2; Path=/; HttpOnly; Secure; Partitioned; SameSite=None')
  t.deepEqual(removed.map(plain), set.map(plain))
  t.deepEqual(namesOf(ann), [])
})

test('security 33: above the bound the answer is an error with the size, before any cookie, and the old session stays', async (t) => {
  const { client, errors } = await world(t)
  const ann = client()
  await ann.get('/set?a=1')
  const before = cookieOf(ann)
  const { status, setCookies } = await ann.get('/fill?bytes=9000')
  t.deepEqual([status, setCookies, cookieOf(ann)], [500, [], before])
  t.is(errors[0]?.code, 'ERR_SESSION_LIMIT')
  t.regex(
    errors[0]?.message ?? '',
    /^cookie: replace refused, the payload has 9\d\d\d bytes and may have 8704$/,
  )
  t.is((await seen(ann)).a, '1')
})

test('a compressible session is compressed before it needs a second cookie, unless compress is false', async (t) => {
  const text = '/set?a=' + 'abcdefgh'.repeat(800)
  const ann = (await world(t)).client()
  await ann.get(text)
  t.deepEqual(namesOf(ann), ['sid'])
  t.is((await seen(ann)).a?.length, 6_400)
  const bob = (await world(t, { compress: false })).client()
  await bob.get(text)
  t.deepEqual(namesOf(bob), ['sid', 'sid.1', 'sid.2'])
  t.is((await seen(bob)).a?.length, 6_400)
})

test('security 50: a sealed decompression bomb is an anonymous visit, and is not expanded', async (t) => {
  const sealer = new Sealer(createKeyRing([k1], 'keys'), ['cookie', '', 'sid'])
  const text = Buffer.from(`zzzzzzzz key\n${'x'.repeat(5_000_000)}`)
  const bomb = sealer.seal(Buffer.concat([Buffer.of(0), deflateRawSync(text)]))
  const small = sealer.seal(Buffer.concat([Buffer.of(0), deflateRawSync(text.subarray(0, 1_000))]))
  const store = new CookieStore({ keys: [k1] }, 'sid')
  t.is(
    (await store.read(small))?.payload,
    'x'.repeat(1_000 - 'zzzzzzzz key\n'.length),
    'a small one would be read',
  )
  t.true(bomb.length < 12_000, 'or it would be refused for its length')
  t.is(await store.read(bomb), undefined)
  const { client } = await world(t)
  t.is((await client().get('/', { headers: { cookie: `sid=${bomb}` } })).status, 200)
})

test('security 9: planted cookies of our name, and planted chunks, do not hide the real ones', async (t) => {
  const { client } = await world(t)
  const ann = client()
  await ann.get('/fill?bytes=8000')
  const [sid, one, two] = ['sid', 'sid.1', 'sid.2'].map((name) => `${name}=${ann.cookies.get(name)}`)
  for (const cookie of [
    `sid=evil; ${sid}; ${one}; ${two}`,
    `${sid}; ${one}; sid.1=evil; ${two}`,
    `sid.1=evil; ${two}; ${one}; ${sid}`,
    `sid=3!evil; sid.2=evil; ${sid}; ${one}; ${two}`,
  ])
    t.is((await seen(ann, '/', cookie)).fill, 8000, cookie.slice(0, 20))
  for (const cookie of [
    `${sid}; ${one}`,
    `${sid}; ${two}`,
    `${one}; ${two}`,
    `${sid}; ${one}; sid.2=`,
    'sid=9!x',
    'sid=3!',
  ])
    t.is((await seen(ann, '/', cookie)).fill, 0)
  const bob = client()
  await bob.get('/fill?bytes=8000')
  const mixed = `${sid}; sid.1=${bob.cookies.get('sid.1')}; ${two}`
  t.is((await seen(ann, '/', mixed)).fill, 0, 'chunks of two sessions are no session')
  const many = Array.from({ length: 50 }, (_, at) => `sid=3!${at}; sid.1=${at}; sid.2=${at}`).join('; ')
  t.is((await seen(ann, '/', `${many}; ${sid}; ${one}; ${two}`)).fill, 8000, 'however many are planted')
})

test('security 34: one Set-Cookie per name, and cookies of others are left alone', async (t) => {
  const koa = new Koa().use(session({ store: new CookieStore({ keys: [k1] }) }))
  koa.use(async (ctx) => {
    ctx.cookies.set('sid.theme', 'dark')
    ctx.cookies.set('xsid.1', 'mine')
    ctx.session.set('a', randomBytes(6_000).toString('base64url'))
    await ctx.session.commit()
    ctx.session.set('a', randomBytes(3_000).toString('base64url'))
    ctx.body = 'ok'
  })
  const { client } = await serve(t, koa)
  const { setCookies } = await client().get('/')
  t.deepEqual(
    setCookies.map((line) => line.split('=')[0]),
    ['sid.theme', 'xsid.1', 'sid', 'sid.1'],
  )
})

test('all cookies of a session travel with an error that Koa answers', async (t) => {
  const { client } = await world(t)
  const ann = client()
  const { status, setCookies, headers } = await ann.get('/fill?bytes=8000&throw=shown')
  t.is(status, 422)
  t.is(setCookies.length, 3)
  t.is(headers.get('cache-control'), 'no-store')
  t.is((await seen(ann)).fill, 8000)
  await ann.get('/set?a=1&throw=hidden')
  t.is((await seen(ann)).a, null, 'what a handler did before it broke is dropped')
})

test('claim takes the value out of the cookie at once, also when the handler breaks later', async (t) => {
  const { client } = await world(t)
  const ann = client()
  await ann.get('/set?a=once')
  t.is((await ann.get('/claim?throw=hidden')).status, 500)
  t.is((await seen(ann)).a, null)
})

test('a session can travel whole in a header instead', async (t) => {
  const { client } = await world(t, {}, { cookie: false, header: 'X-Session' })
  const { headers, setCookies } = await client().get('/set?a=1')
  t.deepEqual(setCookies, [])
  const credential = headers.get('x-session') ?? ''
  t.is(JSON.parse((await client().get('/', { headers: { 'x-session': credential } })).text).a, '1')
  t.is((await seen(client(), '/', `sid=${credential}`)).a, null)
})

test('without HTTP, manager.credential returns what the client must hold', async (t) => {
  const store = new CookieStore({ keys: [k1] })
  const manager = new SessionManager({ store }, 'sid')
  const ann = manager.begin().set('a', 1)
  const id = ann.id
  await manager.commit(ann)
  const first = manager.credential(ann)
  const again = await manager.open(first)
  t.deepEqual([again.get('a'), again.id, again.isNew], [1, id, false])
  t.is(manager.credential(again), first)
  again.set('a', 2)
  await manager.commit(again)
  t.is((await manager.open(manager.credential(again))).get('a'), 2)
  t.true((await manager.open(id)).isNew, 'an ID opens nothing: the cookie does')
  t.true((await new SessionManager({ store }).open(first)).isNew, 'it was sealed for another carrier')
})

test('a credential that was only sealed anew is not missed when the response has begun', async (t) => {
  const made = { time: 1_750_000_000_000 }
  const now = (): number => made.time
  const errors: unknown[] = []
  const koa = new Koa().use(session({ store: new CookieStore({ keys: [k1], now }), now }))
  koa.on('error', (error) => errors.push(error))
  koa.use((ctx) => {
    if (ctx.path === '/begun') {
      ctx.res.write('early')
      ctx.respond = false
      ctx.res.end()
    }
    if (ctx.query['a'] !== undefined) ctx.session.set('a', ctx.query['a'])
    ctx.body = String(ctx.session.get('a'))
  })
  const { client } = await serve(t, koa)
  const ann = client()
  await ann.get('/?a=1')
  made.time += HOUR / 2
  await ann.get('/begun')
  t.deepEqual(errors, [])
  t.is((await ann.get('/')).text, '1')
  await ann.get('/begun?a=2')
  t.true(errors[0] instanceof SessionError && errors[0].code === 'ERR_SESSION_STATE')
})

const refused = (options: SessionOptions<undefined, 'session'>): string => {
  const error = (() => {
    try {
      session(options)
    } catch (caught) {
      return caught
    }
    return undefined
  })()
  return error instanceof SessionError && error.code === 'ERR_SESSION_OPTIONS' ? error.message : 'accepted'
}

test('settings that cannot work with a session in the client are refused by name', (t) => {
  const store = new CookieStore({ keys: [k1] })
  t.regex(
    refused({ store, cookie: false, query: 's' }),
    /^session: cookie: is false, but this store keeps the session in the client/,
  )
  t.regex(refused({ store, name: 'n'.repeat(101) }), /^session: name: is longer than 100 characters/)
  t.is(refused({ store, name: 'n'.repeat(100) }), 'accepted')
  t.regex(
    refused({ store, cookie: { maxAge: HOUR - 1 } }),
    /^session: cookie\.maxAge: is less than idleTimeout/,
  )
  t.is(refused({ store, cookie: { maxAge: 60_000 }, idleTimeout: 60_000 }), 'accepted')
})

test('security 44: the store requires keys, and refuses placeholders', (t) => {
  const make = (keys: readonly SealKey[], more: Partial<CookieStoreOptions> = {}): unknown =>
    t.throws(() => new CookieStore({ keys, ...more }), { code: 'ERR_SESSION_OPTIONS' })
  t.regex(String(make([])), /cookie: keys: needs at least one key/)
  t.regex(String(make(['keyboard cat'])), /cookie: keys\[0\]: is 12 bytes long/)
  t.regex(String(make([k1, k1])), /cookie: keys: holds two keys of the same ID/)
  const misspelled: object = { revocation: new MemoryStore() }
  t.is(
    String(make([k1], misspelled)),
    'SessionError: cookie: revocation: is not a setting; did you mean revocations?',
  )
  const revocations = new CookieStore({ keys: [k1] })
  t.regex(
    String(make([k1], { revocations })),
    /cookie: revocations: must be a store that keeps its entries on a server/,
  )
})

test('security 23: a list of ended sessions that may forget one early is refused', (t) => {
  const forgetful = /^cookie: revocations: the \w+ store may forget entries to make room/
  for (const revocations of [
    new MemoryStore(),
    new MemoryStore({ maxEntries: 200 }),
    new MemoryStore({ maxEntries: Infinity }),
    new MemoryStore({ maxBytes: Infinity }),
    new MemcacheStore({ url: '127.0.0.1:11211' }),
  ])
    t.throws(() => new CookieStore({ keys: [k1], revocations }), {
      code: 'ERR_SESSION_OPTIONS',
      message: forgetful,
    })
  t.true(new CookieStore({ keys: [k1], revocations: listOfEnded() }).traits.revocable)
  t.true(new CookieStore({ keys: [k1], revocations: new FileStore({ folder: './x' }) }).traits.revocable)
})

test('security 23: a list of ended sessions that only this process sees is told once, by a process warning', async (t) => {
  const program = `
    import { CookieStore } from './src/stores/cookie.ts'
    import { FileStore } from './src/stores/file.ts'
    import { MemoryStore } from './src/stores/memory.ts'
    const keys = [Buffer.from('${k1.toString('hex')}', 'hex')]
    process.on('warning', ({ name, code }) => console.log(name, code))
    new CookieStore({ keys, revocations: new FileStore({ folder: './x' }) }).bind('sid')
    await new Promise(setImmediate)
    console.log('then')
    const revocations = new MemoryStore({ maxEntries: Infinity, maxBytes: Infinity })
    new CookieStore({ keys, revocations }).bind('sid')
    new CookieStore({ keys, revocations })`
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--import=tsx',
    '--input-type=module',
    '--eval',
    program,
  ])
  t.is(stdout, 'then\nSessionWarning KTS_LOCAL_REVOCATIONS\n')
})

for (const verb of ['/end', '/regenerate']) {
  test(`security 23: with a list of ended sessions ${verb} is final for every cookie of the session`, async (t) => {
    const revocations = listOfEnded(() => made.time)
    const made: World = await world(t, { revocations })
    const ann = made.client()
    await ann.get('/set?a=1')
    const first = cookieOf(ann)
    await ann.get('/set?a=2')
    const second = cookieOf(ann)
    await ann.get(verb)
    t.is((await seen(made.client(), '/', first)).a, null)
    t.is((await seen(made.client(), '/', second)).a, null)
    t.is((await seen(ann)).a, verb === '/end' ? null : '2')
    t.is(await revocations.count(), 1)
    made.time += 7 * 24 * HOUR + 2 * HOUR
    t.is(await revocations.count(), 0, 'it is forgotten once no cookie of it can live')
  })
}

test('security 23: without such a list an ended session’s kept cookie is good until it expires, and the traits say so', async (t) => {
  const made = await world(t)
  t.false(new CookieStore({ keys: [k1] }).traits.revocable)
  const ann = made.client()
  await ann.get('/set?a=1')
  const kept = cookieOf(ann)
  await ann.get('/end')
  t.is((await seen(made.client(), '/', kept)).a, '1')
  made.time += HOUR
  t.is((await seen(made.client(), '/', kept)).a, null)
})

test('security 24: a slow request of an ended session commits nothing, and sends no cookie', async (t) => {
  const revocations = listOfEnded()
  const gate = { open: (): void => {} }
  const koa = new Koa().use(session({ store: new CookieStore({ keys: [k1], revocations }) }))
  koa.use(async (ctx) => {
    if (ctx.path === '/slow') {
      await new Promise<void>((resolve) => {
        gate.open = resolve
        koa.emit('slow')
      })
    }
    if (ctx.path === '/end') await ctx.session.destroy()
    else ctx.session.update('n', (n = 0) => n + 1)
    ctx.body = 'ok'
  })
  const { client } = await serve(t, koa)
  const ann = client()
  await ann.get('/')
  const slowly = ann.clone()
  const waiting = new Promise((resolve) => koa.once('slow', resolve))
  const slow = slowly.get('/slow')
  await waiting
  await ann.get('/end')
  gate.open()
  t.deepEqual((await slow).setCookies, [])
})

test('a session that is destroyed by its ID is destroyed for all of its cookies', async (t) => {
  const time = { now: 1_750_000_000_000 }
  const now = (): number => time.now
  const revocations = listOfEnded(now)
  const manager = new SessionManager({ store: new CookieStore({ keys: [k1], revocations, now }), now })
  const ann = manager.begin().set('a', 1)
  await manager.commit(ann)
  await manager.destroy(ann.id)
  t.is(await manager.find(manager.credential(ann)), undefined)
  ann.set('a', 2)
  t.is(await manager.commit(ann), 'gone')
})

test('without revocations an ID alone destroys nothing, and the manager says so', async (t) => {
  const manager = new SessionManager({ store: new CookieStore({ keys: [k1] }) })
  await t.throwsAsync(manager.destroy(manager.begin().id), {
    code: 'ERR_SESSION_STATE',
    message: /cannot end a session by its ID/,
  })
})

test('a session that only another version of the program can read is ended by a logout all the same', async (t) => {
  const revocations = listOfEnded()
  const store = new CookieStore({ keys: [k1], revocations })
  const newer = `kts2 ${'v'.repeat(16)} something else`
  const { credential = '' } = await store.bind('sid').create('k'.repeat(43), newer, Date.now() + HOUR)
  const made = await world(t, { revocations, now: Date.now }, { now: Date.now })
  const ann = made.client()
  ann.cookies.set('sid', credential)
  t.is((await seen(ann)).a, null)
  t.deepEqual(namesOf(ann), ['sid'], 'it is left alone')
  await ann.get('/end')
  t.deepEqual(namesOf(ann), [])
  t.is(await store.bind('sid').read(credential), undefined)
})

test('the health of the store is that of its revocation list', async (t) => {
  const revocations = listOfEnded()
  const manager = new SessionManager({ store: new CookieStore({ keys: [k1], revocations }) })
  t.true((await manager.health()).ok)
  revocations.read = async () => Promise.reject(new Error('down'))
  t.false((await manager.health()).ok)
})

test('security 53: while the list cannot be asked, a request with a session is a 503, and others are served', async (t) => {
  const revocations = listOfEnded()
  const { client } = await world(t, { revocations })
  const ann = client()
  await ann.get('/set?a=1')
  revocations.read = async () => Promise.reject(new Error('down'))
  t.is((await ann.get('/')).status, 503)
  t.is((await client().get('/')).status, 200)
})
