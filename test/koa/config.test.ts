import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import test from 'ava'
import Koa from 'koa'
import { fromConfig, session, SessionError, type ConfigObject } from '../../src/index.ts'
import { serve } from '../support/client.ts'
import { temporaryFolder } from '../support/cleanup.ts'

const file = async (text: string): Promise<string> => {
  const folder = await temporaryFolder('kts-config-')
  await writeFile(path.join(folder, 'app.conf'), text)
  return path.join(folder, 'app.conf')
}

test('an empty config gives the defaults of beego: sessions are off, its cookie name', (t) => {
  t.deepEqual(fromConfig({}, {}), {
    enabled: false,
    name: 'beegosessionID',
    cookie: { sameSite: 'lax', httpOnly: true },
  })
})

test('an ini file may contain every setting of beego', async (t) => {
  const conf = await file(
    `# beego's own
appname = shop
sessionon = true
SessionProvider = file
sessionproviderconfig = "./tmp"
sessionname = shopsid
sessiongcmaxlifetime = 1800
sessionhashfunc = sha1
sessioncookielifetime = 86400
sessiondomain = example.org
sessioncookiesamesite = 3
sessiondisablehttponly = true
sessionenablesidinhttpheader = true
sessionnameinhttpheader = X-Sid
sessionenablesidinurlquery = true
sessionidprefix = shop_
`,
  )
  t.deepEqual(fromConfig(conf, {}), {
    enabled: true,
    provider: 'file',
    providerConfig: './tmp',
    name: 'shopsid',
    idleTimeout: 1_800_000,
    hash: 'sha1',
    cookie: { sameSite: 'strict', httpOnly: false, maxAge: 86_400_000, domain: 'example.org' },
    header: 'X-Sid',
    query: 'shopsid',
    idPrefix: 'shop_',
  })
})

test('the section of the run mode, in upper or lower case, overrides the settings outside of sections', async (t) => {
  const text = `sessionon = true
sessionname = top
[dev]
sessionname = in_dev
[prod]
sessionname = in_prod
[test]
sessionname = in_test
`
  const conf = await file(text)
  const nameIn = (env: Record<string, string>): string | undefined => fromConfig(conf, env).name
  t.is(nameIn({}), 'in_dev')
  t.is(nameIn({ BEEGO_RUNMODE: 'PROD' }), 'in_prod')
  t.is(nameIn({ NODE_ENV: 'production' }), 'in_prod')
  t.is(nameIn({ NODE_ENV: 'test' }), 'in_test')
  t.is(nameIn({ NODE_ENV: 'production', BEEGO_RUNMODE: 'test' }), 'in_test')
  t.is(nameIn({ BEEGO_RUNMODE: 'staging' }), 'top')
  t.is(fromConfig(await file(`runmode = prod\n${text}`), { NODE_ENV: 'test' }).name, 'in_prod')
})

test('a ; or # inside a value is part of the value, as in addresses and passwords', async (t) => {
  const conf = await file('sessionproviderconfig = s1:26379;s2:26379,100,pa#ss\n; a comment\n# another\n')
  t.is(fromConfig(conf, {}).providerConfig, 's1:26379;s2:26379,100,pa#ss')
})

test('${NAME||default} in an ini file is the environment variable', async (t) => {
  const conf = await file('sessionproviderconfig = ${SHOP_DIR||./tmp}\n')
  t.is(fromConfig(conf, {}).providerConfig, './tmp')
  t.is(fromConfig(conf, { SHOP_DIR: '/var/s' }).providerConfig, '/var/s')
})

test('SESSION_ environment variables work, and those of other programs are ignored', (t) => {
  const env = {
    SESSION_ON: 'true',
    SESSION_PROVIDER: 'memory',
    SESSION_PROVIDER_CONFIG: '',
    SESSION_GC_MAX_LIFETIME: '60',
    SESSION_MANAGER: 'local/desktop:@/tmp/.ICE-unix/1',
    PATH: '/bin',
  }
  t.like(fromConfig(env, {}), {
    enabled: true,
    provider: 'memory',
    idleTimeout: 60_000,
    providerConfig: undefined,
  })
})

test('sessionConfig in JSON replaces everything but on and provider', (t) => {
  const options = fromConfig(
    {
      SessionOn: true,
      SessionProvider: 'file',
      SessionName: 'ignored',
      sessionConfig: JSON.stringify({
        cookieName: 'gosessionid',
        enableSetCookie: true,
        gclifetime: 3600,
        maxLifetime: 120,
        secure: true,
        cookieLifeTime: 3600,
        providerConfig: './tmp',
        sessionIDLength: 32,
        sessionIDPrefix: 'p-',
      }),
    },
    {},
  )
  t.deepEqual(options, {
    enabled: true,
    provider: 'file',
    providerConfig: './tmp',
    name: 'gosessionid',
    idleTimeout: 120_000,
    idPrefix: 'p-',
    cookie: { sameSite: 'lax', httpOnly: true, secure: true, maxAge: 3_600_000 },
  })
})

const refused: readonly (readonly [setting: string, ConfigObject])[] = [
  ['sessiongcmaxlifetime', { sessiongcmaxlifetime: 'an hour' }],
  ['sessionon', { sessionon: 'perhaps' }],
  ['sessioncookiesamesite', { sessioncookiesamesite: 9 }],
  ['options', { sessionprovder: 'file' }],
  ['sessionconfig', { sessionconfig: '{' }],
  ['sessionconfig', { sessionconfig: '{"cookieNam":1}' }],
  ['sessionconfig', { sessionconfig: '{"constructor":1}' }],
  ['sessionconfig', { sessionconfig: '{"__proto__":{"name":1}}' }],
]
for (const [setting, config] of refused) {
  test(`${JSON.stringify(config)} is refused with an error that names ${setting}`, (t) => {
    const error = t.throws(() => fromConfig(config, {}), { instanceOf: SessionError })
    t.is(error.code, 'ERR_SESSION_OPTIONS')
    t.true(error.message.startsWith(`fromConfig: ${setting}: `), error.message)
  })
}

test('an error about an ini file that cannot be read or parsed has the code of the system or the line', async (t) => {
  const missing = t.throws(() => fromConfig('/nowhere/app.conf'), { code: 'ERR_SESSION_OPTIONS' })
  t.is(
    missing?.message,
    'fromConfig: source: the file cannot be read (ENOENT); give the path of an ini file, or an object',
  )
  const conf = await file('sessionon = true\nwhat is this\n')
  const malformed = t.throws(() => fromConfig(conf, {}), { code: 'ERR_SESSION_OPTIONS' })
  t.is(malformed?.message, 'fromConfig: line 2: is neither name = value nor [section]')
})

test('an application runs on an ini file alone', async (t) => {
  const conf = await file('sessionon = true\nsessionprovider = memory\n')
  const koa = new Koa().use(session(fromConfig(conf, {})))
  koa.use((ctx) => {
    ctx.body = String(ctx.session.update('asta', (n = 0) => n + 1))
  })
  const { client } = await serve(t, koa)
  const visitor = client()
  await visitor.get('/')
  t.is((await visitor.get('/')).text, '2')
  t.true(visitor.cookies.has('beegosessionID'))
})

test('SESSIONNAME, which Windows sets for every process, is not the name of the cookie', (t) => {
  const environment = {
    SESSIONNAME: 'RDP-Tcp#0',
    SESSION_ON: 'true',
    SESSIONTYPE: 'x11',
    SESSION_MANAGER: 'local/host',
  }
  t.is(fromConfig(environment).name, 'beegosessionID')
  t.is(fromConfig({ ...environment, SESSION_NAME: 'sid' }).name, 'sid')
  for (const name of ['SessionName', 'sessionname', 'session_name'])
    t.is(fromConfig({ [name]: 'sid', ...environment }).name, 'sid', name)
  t.throws(() => fromConfig({ SESSIONPROVDER: 'file' }), { message: /did you mean sessionprovider\?$/ })
  t.throws(() => fromConfig({ sessiontype: 'x11' }), { message: /unknown setting/ })
})
