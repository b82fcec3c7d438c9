import { randomBytes } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import { fromConfig, session, SessionError, type SessionOptions } from '../../../src/index.ts'
import { CookieStore } from '../../../src/stores/cookie.ts'
import { serve } from '../../support/client.ts'

const securityKey = randomBytes(32).toString('hex')
const blockKey = randomBytes(16).toString('hex')
const beego = { securityKey, blockKey, securityName: 'shop' }

/** The first Set-Cookie of an application with these settings, with `…` for the session; or why there is none. */
async function cookieOf(t: ExecutionContext, options: SessionOptions<undefined, 'session'>): Promise<string> {
  const koa = new Koa({ proxy: true }).use(session(options))
  koa.use((ctx) => {
    ctx.session.set('a', 1)
    ctx.body = 'ok'
  })
  const { client } = await serve(t, koa)
  const { setCookies } = await client().get('/', { headers: { 'x-forwarded-proto': 'https' } })
  return setCookies[0]?.replace(/=s1\.[\w.-]+/, '=…') ?? 'none'
}
const provider = 'cookie'
const refused = (config: unknown, options: SessionOptions<undefined, 'session'> = {}): string => {
  const providerConfig = typeof config === 'string' ? config : JSON.stringify(config)
  try {
    session({ provider, providerConfig, ...options })
  } catch (error) {
    if (error instanceof SessionError && error.code === 'ERR_SESSION_OPTIONS') return error.message
    throw error
  }
  return 'accepted'
}

test('beego: its JSON names the cookie, its security and its age', async (t) => {
  const providerConfig = JSON.stringify({ ...beego, cookieName: 'gosessionid', secure: true, maxage: 3600 })
  t.is(
    await cookieOf(t, { provider, providerConfig }),
    'gosessionid=…; Max-Age=3600; Path=/; HttpOnly; Secure; SameSite=Lax',
  )
  t.is(
    await cookieOf(
      t,
      fromConfig({ sessionon: true, sessionprovider: provider, sessionproviderconfig: providerConfig }),
    ),
    'gosessionid=…; Max-Age=3600; Path=/; HttpOnly; Secure; SameSite=Lax',
  )
  const sessionConfig = { cookieName: 'gosessionid', secure: true, providerConfig }
  t.is(
    await cookieOf(
      t,
      fromConfig({
        sessionon: true,
        sessionprovider: provider,
        sessionconfig: JSON.stringify(sessionConfig),
      }),
    ),
    'gosessionid=…; Max-Age=3600; Path=/; HttpOnly; Secure; SameSite=Lax',
  )
  t.is(
    await cookieOf(t, { provider, providerConfig: JSON.stringify(beego) }),
    'sid=…; Path=/; HttpOnly; SameSite=Lax; Secure',
  )
})

test('the JSON of this library works the same way', async (t) => {
  const keys = [securityKey, randomBytes(32).toString('base64url')]
  t.is(
    await cookieOf(t, { provider, providerConfig: JSON.stringify({ keys }) }),
    'sid=…; Path=/; HttpOnly; SameSite=Lax; Secure',
  )
  const config = JSON.stringify({ keys, name: 'shop' })
  const sealed = await CookieStore.fromConfig(config, { now: Date.now }).create(
    'a',
    'kts1',
    Date.now() + 1_000,
  )
  const read = async (...args: ConstructorParameters<typeof CookieStore>): Promise<unknown> =>
    (await new CookieStore(...args).read(sealed.credential ?? ''))?.payload
  t.is(await read({ keys, name: 'shop' }), 'kts1')
  t.is(await read({ keys }), undefined)
})

test('beego: one key comes of securityKey and blockKey, and both are needed to open', async (t) => {
  const open = (config: object): CookieStore =>
    CookieStore.fromConfig(JSON.stringify(config), { now: Date.now })
  const { credential = '' } = await open(beego).create('a', 'kts1', Date.now() + 1_000)
  t.is((await open({ ...beego }).read(credential))?.payload, 'kts1')
  t.is(
    (await open({ SecurityKey: securityKey, BLOCKKEY: blockKey, securityname: 'shop' }).read(credential))
      ?.payload,
    'kts1',
    'Go does not mind the case',
  )
  t.is(await open({ ...beego, blockKey: randomBytes(16).toString('hex') }).read(credential), undefined)
  t.is(await open({ ...beego, securityKey: randomBytes(24).toString('hex') }).read(credential), undefined)
  t.is(await open({ ...beego, securityName: 'forum' }).read(credential), undefined)
})

test('beego 18: keys that are missing or short are an error at start, never random ones', (t) => {
  t.regex(refused('{}'), /^cookie: securityKey: is missing, and keys too/)
  t.regex(refused({ securityKey }), /^cookie: blockKey: is missing/)
  t.regex(refused({ blockKey }), /^cookie: securityKey: is missing/)
  t.regex(
    refused({ securityKey: 'beegocookiehashkey', blockKey }),
    /^cookie: securityKey: is 18 bytes long, and a key has at least 32; make one with/,
  )
  t.regex(
    refused({ securityKey: 'qwertyuiopasdfghjklzxcvbnmqwerty', blockKey }),
    /^cookie: securityKey: looks like words or a number, and a passphrase is no key/,
  )
  t.is(refused({ securityKey, blockKey: 'short' }), 'cookie: blockKey: must have 16, 24 or 32 bytes')
  t.regex(refused({ keys: ['short'] }), /^cookie: keys\[0\]: is 5 bytes long/)
  t.is(refused({ keys: securityKey }), 'cookie: keys: must be a list of keys')
  t.is(
    refused({ ...beego, keys: [securityKey] }),
    'cookie: keys: cannot be given together with securityKey or blockKey',
  )
})

test('a malformed field is refused by name, and no key is shown', (t) => {
  for (const text of ['', 'x', '[]', '"x"', 'null', '{"keys":'])
    t.is(refused(text), 'cookie: the config must be JSON, such as {"keys":["…"]}')
  for (const [more, message] of [
    [
      { colour: 1 },
      'cookie: the config has an unknown setting; known are keys, name, compress, cachebytes, securitykey, blockkey, securityname, cookiename, secure, maxage',
    ],
    [{ compress: 1 }, 'cookie: compress: must be true or false'],
    [{ secure: 'yes' }, 'cookie: secure: must be true or false'],
    [{ maxage: -1 }, 'cookie: maxage: must be a whole number of seconds, 0 or more'],
    [{ maxage: '60' }, 'cookie: maxage: must be a whole number of seconds, 0 or more'],
    [{ cookieName: 7 }, 'cookie: cookieName: must be a string'],
    [{ securityName: {} }, 'cookie: securityName: must be a string'],
    [{ cookieName: 'a b' }, 'session: name: must be a name of letters, digits and -_. only'],
    [
      { maxage: 40_000_000 },
      'session: cookie.maxAge: must be at most 400 days: browsers keep no cookie longer',
    ],
    [{ cookieName: '__Host-sid' }, 'session: name: begins with __Host-, which needs cookie.secure: true'],
  ] as const) {
    t.is(refused({ ...beego, ...more }), message)
    t.false(refused({ ...beego, ...more }).includes(securityKey))
  }
})

test('if the config string and the settings disagree, the error names both', (t) => {
  const config = { ...beego, cookieName: 'gosessionid', secure: true, maxage: 3600 }
  const leave = 'leave one of the two out'
  t.is(refused(config, { name: 'sid' }), `session: name: differs from cookieName in providerConfig; ${leave}`)
  t.is(
    refused(config, { cookie: { secure: false } }),
    `session: cookie.secure: differs from secure in providerConfig; ${leave}`,
  )
  t.is(
    refused(config, { cookie: { maxAge: 1 } }),
    `session: cookie.maxAge: differs from maxage in providerConfig; ${leave}`,
  )
  t.is(refused(config, { name: 'gosessionid', cookie: { secure: true, maxAge: 3_600_000 } }), 'accepted')
  t.is(
    refused(config, { cookie: false, header: 'X-Session' }),
    'accepted',
    'there is no cookie to disagree about',
  )
})
