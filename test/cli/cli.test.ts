// The command `koa-typed-session`, as it is built: what it refuses, asks and hides. What it does on each engine is in test/engines/.
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import test from 'ava'
import { SessionManager } from '../../src/index.ts'
import { temporaryFolder } from '../support/cleanup.ts'
import { koaTypedSession } from './command.ts'

const KEY = randomBytes(32).toString('base64')

/** A folder with a session of ann, whose label and key a terminal would obey. */
async function site(seal?: { keys: string[] }): Promise<{ folder: string; id: string; handle: string }> {
  const folder = await temporaryFolder('kts-cli-')
  const manager = new SessionManager({ provider: 'file', providerConfig: folder, ...(seal && { seal }) })
  const session = manager.begin().set('cart', { n: 'zebra-of-ann' }).set('\u001b[31mred', 1)
  session.signIn('ann', { label: 'Fire\u001b]0;fox\u0007\u202e' })
  await session.commit()
  const { id, handle } = session
  await manager.close()
  return { folder, id, handle }
}

const wrong: readonly (readonly [what: string, args: readonly string[], said: RegExp])[] = [
  ['no store', ['count'], /^koa-typed-session: --config or --provider: says where the sessions are/],
  ['a store of the application itself', ['count', '--provider', 'memory'], /memory of the application/],
  ['an unknown provider', ['count', '--provider', 'radis'], /did you mean redis\?/],
  ['a mistyped command', ['lisst', '--provider', 'file'], /not known; did you mean list\?/],
  ['a mistyped option', ['list', '--provider', 'file', '--onwer', 'ann'], /not known; did you mean owner\?/],
  ['an option without its value', ['list', '--provider', 'file', '--owner'], /--owner: needs a value/],
  ['a flag with a value', ['count', '--provider', 'file', '--json=1'], /--json: takes no value/],
  ['an ID as an argument', ['inspect', 'SECRET', '--provider', 'file'], /standard input/],
  ['a config string as an option', ['count', '--provider-config', 'SECRET'], /SESSION_PROVIDER_CONFIG/],
  ['a password as an option', ['count', '--password=SECRET'], /SESSION_PROVIDER_CONFIG/],
  ['keys as an option', ['inspect', '--seal=SECRET'], /SESSION_SEAL_KEYS/],
  ['an unknown option with a secret', ['count', '--auth=SECRET'], /option that is not known/],
  ['two stores', ['count', '--provider', 'file', '--config', 'x'], /give one of them/],
  ['a list without an owner', ['list', '--provider', 'file'], /needs --owner/],
  ['an end of nothing', ['end', '--provider', 'file', '--owner', 'ann'], /needs --handle, or --all/],
  [
    'an end of both',
    ['end', '--provider', 'file', '--owner', 'a', '--handle', 'h', '--all'],
    /needs --handle, or --all/,
  ],
  [
    'a handle without an owner',
    ['inspect', '--provider', 'file', '--handle', 'h'],
    /both --owner and --handle/,
  ],
  [
    'an option of another command',
    ['count', '--provider', 'file', '--values'],
    /--values: count has no use for it/,
  ],
  ['no ID', ['inspect', '--provider', 'file'], /no ID came/],
  ['a file that is not there', ['count', '--config', 'nowhere.conf'], /ENOENT/],
]

for (const [what, args, said] of wrong) {
  test(`${what} is refused with a sentence and exit code 2, and no secret is shown`, async (t) => {
    const folder = await temporaryFolder('kts-cli-')
    const { code, out, err } = await koaTypedSession(args, { env: { SESSION_PROVIDER_CONFIG: folder } })
    t.is(code, 2)
    t.is(out, '')
    t.regex(err, said)
    t.is(err.split('\n').length, 2)
    t.false(err.includes('SECRET'))
  })
}

test('without arguments the command says how it is used, and --help does so with exit code 0', async (t) => {
  const { code, out } = await koaTypedSession([])
  t.is(code, 2)
  const help = await koaTypedSession(['--help'])
  t.is(help.code, 0)
  t.is(help.out, out)
  for (const name of ['inspect', 'list', 'end', 'count', 'sweep', 'doctor', '--json', 'SESSION_SEAL_KEYS'])
    t.true(out.includes(name), name)
})

test('security 38: neither an ID, a password nor a value is in an output or in the list of processes', async (t) => {
  const { folder, id, handle } = await site()
  const env = { SESSION_PROVIDER_CONFIG: folder }
  const runs = [
    await koaTypedSession(['inspect', '--provider', 'file'], { env, input: `${id}\n` }),
    await koaTypedSession(['inspect', '--provider', 'file', '--owner', 'ann', '--handle', handle], { env }),
    await koaTypedSession(['list', '--provider', 'file', '--owner', 'ann', '--json'], { env }),
  ]
  const secret = 'hunter2secret'
  for (const provider of ['redis', 'mysql', 'postgres', 'couchbase'])
    runs.push(
      await koaTypedSession(['doctor', '--provider', provider], {
        env: { SESSION_PROVIDER_CONFIG: `${provider}://root:${secret}@127.0.0.1:1/db` },
      }),
    )
  for (const { code, out, err, listed } of runs.slice(0, 3)) t.is(code, 0, out + err + listed)
  for (const { code, out, err } of runs.slice(3)) t.not(code, 0, out + err)
  for (const { out, err, listed } of runs)
    for (const hidden of [id, secret, 'zebra-of-ann'])
      t.false((out + err + listed).includes(hidden), out + err)
})

test('values are shown only with --values, as they are stored, and control characters are shown as text', async (t) => {
  const { folder, id } = await site()
  const env = { SESSION_PROVIDER_CONFIG: folder }
  const { code, out } = await koaTypedSession(['inspect', '--provider', 'file', '--values'], {
    env,
    input: id,
  })
  t.is(code, 0)
  t.true(out.includes('J {"n":"zebra-of-ann"}'))
  const list = await koaTypedSession(['list', '--provider', 'file', '--owner', 'ann'], { env })
  t.true(list.out.includes('Fire\\u001b]0;fox\\u0007\\u202e'))
  const asJson = await koaTypedSession(['list', '--provider', 'file', '--owner', 'ann', '--json'], { env })
  t.true(asJson.out.includes('\\u202e'))
  t.like(asJson.json['sessions'], [{ label: 'Fire\u001b]0;fox\u0007\u202e' }])
  // oxlint-disable-next-line no-control-regex -- these are what is looked for
  for (const text of [out, list.out]) t.notRegex(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/)
})

test('a sealed session is shown with the keys of its program, and without them it is told that it cannot be read', async (t) => {
  const { folder, id } = await site({ keys: [KEY] })
  const env = { SESSION_PROVIDER_CONFIG: folder }
  const closed = await koaTypedSession(['inspect', '--provider', 'file'], { env, input: id })
  t.is(closed.code, 1)
  t.false((closed.out + closed.err).includes('zebra-of-ann'))
  const opened = await koaTypedSession(['inspect', '--provider', 'file', '--values', '--json'], {
    env: { ...env, SESSION_SEAL_KEYS: KEY },
    input: id,
  })
  t.is(opened.code, 0, opened.err)
  t.true(opened.out.includes('zebra-of-ann'))
  const weak = await koaTypedSession(['inspect', '--provider', 'file'], {
    env: { ...env, SESSION_SEAL_KEYS: 'hunter2' },
    input: id,
  })
  t.is(weak.code, 2)
  t.false(weak.err.includes('hunter2'))
})

test('to end sessions needs --yes where no person can be asked, and then nothing was done', async (t) => {
  const { folder, handle } = await site()
  const env = { SESSION_PROVIDER_CONFIG: folder }
  const args = ['end', '--provider', 'file', '--owner', 'ann', '--handle', handle]
  const refused = await koaTypedSession(args, { env, input: 'y\n' })
  t.is(refused.code, 2)
  t.regex(refused.err, /This ends 1 of 1 sessions of ann\. Nothing was done: give --yes/)
  const done = await koaTypedSession([...args, '--yes', '--json'], { env })
  t.deepEqual(done.json, { command: 'end', ok: true, ended: 1, sessions: 1 })
  const again = await koaTypedSession([...args, '--yes'], { env })
  t.is(again.code, 1)
  t.is(again.out, 'there is no such session\n')
})

test('security 17: to look at a session that is allowed to live for long does not end it, nor does its list', async (t) => {
  const folder = await temporaryFolder('kts-cli-')
  const MONTH = 30 * 24 * 60 * 60 * 1000
  const options = { provider: 'file', providerConfig: folder, idleTimeout: MONTH, absoluteTimeout: MONTH }
  const earlier = new SessionManager({ ...options, now: () => Date.now() - MONTH / 3 })
  const session = earlier.begin().set('cart', 1)
  session.signIn('ann')
  await session.commit()
  await earlier.close()
  const env = { SESSION_PROVIDER_CONFIG: folder }
  const shown = await koaTypedSession(['inspect', '--provider', 'file', '--json'], { env, input: session.id })
  t.is(shown.json['found'], true)
  const { json } = await koaTypedSession(['list', '--provider', 'file', '--owner', 'ann', '--json'], { env })
  // When it was last used follows from the program's timeout, which the command does not know.
  t.deepEqual(Object.keys(Object(Object(json['sessions'])[0])), ['handle', 'signedInAt', 'expiresAt'])
  const manager = new SessionManager(options)
  t.teardown(async () => manager.close())
  t.is((await manager.find(session.id))?.get('cart'), 1)
  t.is((await manager.sessionsOf('ann').list()).length, 1)
})

test('the settings come from a file as beego has it, too', async (t) => {
  const { folder, id } = await site()
  const home = await temporaryFolder('kts-cli-')
  await mkdir(path.join(home, 'conf'))
  await writeFile(
    path.join(home, 'conf', 'app.conf'),
    `sessionon = true\nsessionprovider = file\nsessionproviderconfig = ${folder}\n`,
  )
  const { code, json } = await koaTypedSession(['inspect', '--config', 'conf/app.conf', '--json'], {
    cwd: home,
    input: id,
  })
  t.is(code, 0)
  t.is(json['found'], true)
})

test('what --json prints of a failure is one object, with the sentence', async (t) => {
  const { code, json, err } = await koaTypedSession(['count', '--provider', 'redis', '--json'], {
    env: { SESSION_PROVIDER_CONFIG: 'redis://127.0.0.1:1/0' },
  })
  t.is(code, 1)
  t.is(err, '')
  t.is(json['ok'], false)
  t.regex(String(json['error']), /redis/)
})
