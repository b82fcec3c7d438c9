// What damage to a stored payload costs: at most the key that it hit, and never in silence.
import test from 'ava'
import Koa from 'koa'
import { hashId } from '../../src/session/id.ts'
import { session, type SessionEvent, SessionError, SessionManager } from '../../src/index.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { Account, registry } from '../fidelity/classes.ts'
import { fingerprint } from '../fidelity/fingerprint.ts'
import { serve } from '../support/client.ts'

const content: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['user', 'hunter2'],
  ['Grüße', [1, { a: null }]],
  ['cart', new Map<unknown, unknown>([['Jar*', new Date(5)]])],
  ['account', new Account('ann', 255n, new Date(0))],
  ['odd', [/a/g, new URL('https://example.org')]],
  ['visits', 3],
])

const store = new MemoryStore()
const events: SessionEvent[] = []
const manager = new SessionManager({
  store,
  registry,
  sweepInterval: 0,
  onEvent: (event) => events.push(event),
})
const begun = manager.begin()
for (const [key, value] of content) begun.set(key, value)
await manager.commit(begun)
const { id } = begun
const payload = (await store.read(hashId(id)))?.payload ?? ''

/** Puts other text in the place of the stored payload. */
async function forge(text: string): Promise<void> {
  await store.destroy(hashId(id))
  await store.create(hashId(id), text, Date.now() + 60_000)
  events.length = 0
}

async function stored(): Promise<string | undefined> {
  return (await store.read(hashId(id)))?.payload
}

function linesOf(text = ''): string[] {
  return text.split('\n').slice(1, -1)
}

/** The lines of `body` under a header that fits them. */
function payloadOf(body: string): string {
  return `kts1 AAAAaaaa0000-_-_ ${Date.now()} ${body.length}\n${body}`
}

function told(scope: 'key' | 'payload'): number {
  return events.filter((event) => event.type === 'decode-failed' && event.scope === scope).length
}

/** Which keys do not come back as they were; asserts that each of them is told. */
async function lostKeys(): Promise<readonly string[]> {
  const found = await manager.open(id)
  const lost: string[] = []
  for (const [key, value] of content) {
    try {
      const now: unknown = found.get(key)
      if (fingerprint(now) === fingerprint(value)) continue
      if (now !== undefined) throw new Error(`${key} comes back as something else`)
    } catch (error) {
      if (!(error instanceof SessionError) || error.code !== 'ERR_SESSION_DECODE') throw error
    }
    if (told('key') === 0) throw new Error(`${key} is lost in silence`)
    lost.push(key)
  }
  for (const key of found.keys()) {
    if (!content.has(key) && lost.length === 0) throw new Error('a key came out of nothing')
  }
  return lost
}

/** Asserts what must become of a damaged payload, whatever the damage; tells what it cost. */
async function suffer(text: string, newline: boolean): Promise<'nothing' | 'a key' | 'two keys' | 'all'> {
  await forge(text)
  const opened = await manager.open(id)
  if (opened.isNew) {
    if (told('payload') !== 1) throw new Error('it was not told')
    if (opened.id === id || opened.size > 0) throw new Error('something was taken over')
    opened.set('user', 'bob')
    if ((await manager.commit(opened)) !== 'ok') throw new Error('the new session was not stored')
    if ((await stored()) !== text) throw new Error('the damaged record was touched')
    await manager.destroy(opened.id)
    return 'all'
  }
  const lost = await lostKeys()
  // A newline that is gone joins two lines, and so it belongs to both.
  if (lost.length > (newline ? 2 : 1)) throw new Error(`${lost.length} keys are lost`)
  const other = [...content.keys()].find((key) => !lost.includes(key)) ?? ''
  const writer = await manager.open(id)
  writer.set(other, 'bob')
  if ((await manager.commit(writer)) !== 'ok') throw new Error('another key could not be committed')
  const before = linesOf(text)
  const at = before.findIndex((line) => line.startsWith(`"${other}" `))
  const after = linesOf(await stored())
  if (after.length !== before.length) throw new Error('a line is gone')
  if (after.some((line, index) => index !== at && line !== before[index]))
    throw new Error('another line was changed')
  if ((await manager.open(id)).get(other) !== 'bob') throw new Error('the change was not kept')
  return lost.length === 0 ? 'nothing' : lost.length === 1 ? 'a key' : 'two keys'
}

test.serial(
  'F14: any single bit of a stored payload turns: it costs one key, or is a new session beside the old record',
  async (t) => {
    const bytes = Buffer.from(payload)
    t.true(bytes.length >= 400)
    const costs = { nothing: 0, 'a key': 0, 'two keys': 0, all: 0 }
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const at = bit >> 3
      const text = Buffer.from(bytes.with(at, (bytes[at] ?? 0) ^ (1 << (bit & 7)))).toString()
      try {
        costs[await suffer(text, bytes[at] === 0x0a)]++
      } catch (error) {
        t.fail(`bit ${bit & 7} of ${JSON.stringify(payload.slice(at, at + 20))}: ${String(error)}`)
      }
    }
    // What is not ASCII may turn into more or fewer characters, and then the length is wrong.
    const wide = bytes.filter((byte) => byte > 0x7f).length
    const vital = payload.indexOf('\n') + 2 + wide
    t.true(costs.all > 300 && costs.all <= vital * 8, 'the header costs all, a line does not')
    t.true(costs['two keys'] <= 8 * content.size)
    t.log(costs)
  },
)

test.serial('F14: a payload cut at any byte is a new session beside the old record', async (t) => {
  const bytes = Buffer.from(payload)
  for (let end = 0; end < bytes.length; end++) {
    t.is(await suffer(bytes.toString('utf8', 0, end), false), 'all', `cut at ${end}`)
  }
})

test.serial(
  'F14: any byte of a line gone, doubled or made a newline costs no key but those beside it',
  async (t) => {
    const costs = { nothing: 0, 'a key': 0, 'two keys': 0, all: 0 }
    const lines = linesOf(payload)
    for (const [number, line] of lines.entries()) {
      for (let at = 0; at < line.length; at++) {
        for (const other of ['', line.slice(at, at + 1).repeat(2), '\n', '\0']) {
          const text = payloadOf(
            `${lines.with(number, line.slice(0, at) + other + line.slice(at + 1)).join('\n')}\n`,
          )
          costs[await suffer(text, false)]++
        }
      }
    }
    t.is(costs.all + costs['two keys'], 0)
    t.true(costs['a key'] > 1_000)
    t.log(costs)
  },
)

test.serial(
  'a line whose key cannot be read is told once per request that misses a key or lists all',
  async (t) => {
    await forge(payloadOf('"user" J "ann"\n"ca\u0000rt" J 1\n'))
    const found = await manager.open(id)
    t.is(found.get('user'), 'ann')
    t.is(told('key'), 0)
    t.is(found.get('cart'), undefined)
    t.false(found.has('flash'))
    t.deepEqual([...found.keys()], ['user'])
    t.is(told('key'), 1)
    const [error] = events.flatMap((event) => (event.type === 'decode-failed' ? [event.error] : []))
    t.like(error, { code: 'ERR_SESSION_DECODE' })
    t.notRegex(String(error), /ca.?rt|user|ann/)
    t.deepEqual([...(await manager.open(id)).keys()], ['user'])
    t.is(told('key'), 2)
  },
)

test.serial(
  'a line whose key cannot be read survives commit, rebase, claim and regenerate, and goes with clear',
  async (t) => {
    const line = '"ca\u0000rt" J 1'
    await forge(payloadOf(`"user" J "ann"\n${line}\n"code" J 4711\n`))
    const [one, other] = [await manager.open(id), await manager.open(id)]
    one.set('user', 'bob')
    other.update('visits', (visits = 0) => Number(visits) + 1)
    t.deepEqual([await manager.commit(one), await manager.commit(other)], ['ok', 'ok'])
    t.is(await (await manager.open(id)).claim('code'), 4711)
    const kept = await manager.open(id)
    t.deepEqual([kept.get('user'), kept.get('visits')], ['bob', 1])
    t.is(linesOf(await stored())[1], line)
    await manager.regenerate(kept)
    const moved = hashId(kept.id)
    t.is(linesOf((await store.read(moved))?.payload)[1], line)

    // Deleting all keys one by one leaves what has none. To clear is to forget that, too.
    const emptied = await manager.open(kept.id)
    for (const key of emptied.keys()) emptied.delete(key)
    await manager.commit(emptied)
    t.deepEqual(linesOf((await store.read(moved))?.payload), [line])
    const cleared = await manager.open(kept.id)
    cleared.clear()
    t.is(await manager.commit(cleared), 'ok')
    t.is(await store.read(moved), undefined)
  },
)

test.serial(
  'a session that is cleared and written anew keeps nothing of what could not be read',
  async (t) => {
    await forge(payloadOf('"user" J "ann"\nrubbish\n'))
    const found = await manager.open(id)
    found.clear()
    found.set('user', 'ann')
    await manager.commit(found)
    t.deepEqual(linesOf(await stored()), ['"user" J "ann"'])
  },
)

test.serial('a key that stands twice is an error for itself alone, until it is set', async (t) => {
  await forge(payloadOf('"user" J "ann"\n"visits" J 3\n"user" J "bob"\n'))
  const found = await manager.open(id)
  t.throws(() => found.get('user') as unknown, { code: 'ERR_SESSION_DECODE' })
  t.is(
    found.update('visits', (visits) => Number(visits) + 1),
    4,
  )
  await manager.commit(found)
  t.deepEqual(linesOf(await stored()).filter((line) => line.startsWith('"user"')).length, 2)
  const next = await manager.open(id)
  next.set('user', 'eve')
  await manager.commit(next)
  t.is((await manager.open(id)).get('user'), 'eve')
})

test.serial('a payload that turns unreadable between open and commit is not written over', async (t) => {
  const newer = payload.replace('kts1', 'kts2')
  for (const change of [
    (found: Awaited<ReturnType<typeof manager.open>>) => void found.set('user', 'bob'),
    (found: Awaited<ReturnType<typeof manager.open>>) => void found.update('visits', (n) => Number(n) + 1),
    (found: Awaited<ReturnType<typeof manager.open>>) => found.clear(),
    (found: Awaited<ReturnType<typeof manager.open>>) => found.regenerate(),
  ]) {
    await forge(payload)
    const found = await manager.open(id)
    await forge(newer)
    change(found)
    await t.throwsAsync(manager.commit(found), { code: 'ERR_SESSION_PAYLOAD' })
    t.is(await stored(), newer)
  }
  await forge(payload)
  const found = await manager.open(id)
  await forge(newer)
  await t.throwsAsync(found.claim('user'), { code: 'ERR_SESSION_PAYLOAD' })
  t.is(await stored(), newer)
  t.is(await store.count(), 1)
})

test.serial(
  'a visitor who logs out ends what cannot be read here: another version may well read it',
  async (t) => {
    for (const text of [payload.replace('kts1', 'kts2'), payload.slice(0, -1)]) {
      await forge(text)
      const found = await manager.open(id)
      t.true(found.isNew)
      t.is(await manager.commit(found), 'ok')
      t.is(await stored(), text)
      await found.destroy()
      t.is(await stored(), undefined)
      t.is(events.filter((event) => event.type === 'destroyed').length, 1)
    }
  },
)

test.serial('logging out over HTTP ends a session that cannot be read here', async (t) => {
  await forge(payload.replace('kts1', 'kts2'))
  const app = new Koa().use(session({ store, sweepInterval: 0 })).use(async (ctx) => {
    if (ctx.path === '/logout') await ctx.session.destroy()
    ctx.body = 'ok'
  })
  const visitor = (await serve(t, app)).client()
  visitor.cookies.set('sid', id)
  await visitor.get('/')
  t.not(await stored(), undefined)
  const { status, setCookies } = await visitor.get('/logout')
  t.is(status, 200)
  t.regex(setCookies[0] ?? '', /^sid=; Max-Age=0/)
  t.is(await stored(), undefined)
})

test.serial('so does logging out where Koa does not see the request, in a WebSocket', async (t) => {
  await forge(payload.replace('kts1', 'kts2'))
  const sessions = session({ store, sweepInterval: 0 })
  const app = new Koa().use(async (ctx) => {
    await (await sessions.open(ctx.req)).destroy()
    ctx.body = 'ok'
  })
  const visitor = (await serve(t, app)).client()
  visitor.cookies.set('sid', id)
  t.is((await visitor.get('/')).status, 200)
  t.is(await stored(), undefined)
})
