import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import test from 'ava'
import Koa from 'koa'
import { session } from '../../src/index.ts'
import { createId } from '../../src/session/id.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { serve } from '../support/client.ts'

test.serial(
  'security 1: 100,000 IDs are distinct and of one length, and each of their bits is 1 in half of them',
  (t) => {
    const count = 100_000
    const seen = new Set<string>()
    const ones = Array.from({ length: 256 }, () => 0)
    for (let made = 0; made < count; made += 1) {
      const id = createId()
      seen.add(id)
      const bytes = Buffer.from(id, 'base64url')
      if (bytes.length !== 32) t.fail('an ID of another length')
      for (const [at, byte] of bytes.entries()) {
        for (let bit = 0; bit < 8; bit += 1)
          ones[at * 8 + bit] = (ones[at * 8 + bit] ?? 0) + ((byte >> bit) & 1)
      }
    }
    t.is(seen.size, count)
    const sigma = Math.sqrt(count) / 2
    // With 256 random bits, one is beyond six sigma once in two million runs.
    for (const [bit, heads] of ones.entries()) {
      t.true(Math.abs(heads - count / 2) < 6 * sigma, `bit ${bit}: ${heads} of ${count}`)
    }
  },
)

test.serial('security 1: the random source of node:crypto is the only one', (t) => {
  const { randomBytes, randomFillSync } = crypto
  const asked: number[] = []
  crypto.randomBytes = Object.assign((size: number) => {
    asked.push(size)
    return Buffer.alloc(size, 0xa5)
  }, randomBytes)
  crypto.randomFillSync = (buffer) => {
    asked.push(buffer.byteLength)
    Buffer.from(buffer instanceof ArrayBuffer ? buffer : buffer.buffer).fill(0xa5)
    return buffer
  }
  syncBuiltinESMExports()
  try {
    // Random bytes that were drawn before are used up at some point.
    for (let made = 0; made < 10_000; made += 1) createId()
    t.is(createId(), Buffer.alloc(32, 0xa5).toString('base64url'))
    t.is(createId(), createId())
    t.true(asked.length > 0)
  } finally {
    Object.assign(crypto, { randomBytes, randomFillSync })
    syncBuiltinESMExports()
  }
})

test('security 2: IDs made one after another have nothing in common, and contain no time', (t) => {
  const ids = Array.from({ length: 1_000 }, () => Buffer.from(createId(), 'base64url'))
  const stamp = Buffer.alloc(8)
  stamp.writeBigUInt64BE(BigInt(Date.now()))
  for (const [at, id] of ids.entries()) {
    // Four bytes in common at one place: by chance once in four million pairs.
    const before = ids[at - 1]
    if (before !== undefined) {
      t.false(id.subarray(0, 5).equals(before.subarray(0, 5)))
      t.false(id.subarray(-5).equals(before.subarray(-5)))
    }
    t.false(id.includes(stamp.subarray(2, 6)))
  }
})

test('security 3: nothing that a client sends makes a session live longer or belong to another client', async (t) => {
  let time = 1_000_000
  const idleTimeout = 60_000
  const store = new MemoryStore({ now: () => time })
  const app = new Koa().use(session({ store, idleTimeout, now: () => time, cookie: { maxAge: 60_000 } }))
  app.use((ctx) => {
    if (ctx.path === '/in') ctx.session.set('user', 'ann')
    ctx.body = String(ctx.session.get('user'))
  })
  const { client } = await serve(t, app)
  const visitor = client()
  await visitor.get('/in')
  const id = visitor.cookies.get('sid') ?? ''
  const cookie = `sid=${id}; Max-Age=99999999; Expires=Fri, 01 Jan 2100 00:00:00 GMT; user=root; maxAge=1e9`
  time += idleTimeout - 1
  t.is((await client().get('/', { headers: { cookie } })).text, 'ann')
  time += idleTimeout
  t.is((await client().get('/', { headers: { cookie } })).text, 'undefined')
})

test('security 12 and 13: values set before a login stay only if the application keeps them', async (t) => {
  const app = new Koa().use(session())
  app.use((ctx) => {
    if (ctx.path === '/seed') ctx.session.set('returnTo', 'https://evil.example')
    if (ctx.path === '/keep') ctx.session.set('user', 'ann').regenerate()
    if (ctx.path === '/fresh') {
      ctx.session.clear()
      ctx.session.set('user', 'ann').regenerate()
    }
    ctx.body = Object.fromEntries(ctx.session.entries())
  })
  const { client } = await serve(t, app)
  for (const [path, kept] of [
    ['/keep', { returnTo: 'https://evil.example', user: 'ann' }],
    ['/fresh', { user: 'ann' }],
  ] as const) {
    const victim = client()
    await victim.get('/seed')
    const attacker = victim.clone()
    const before = victim.cookies.get('sid')
    await victim.get(path)
    t.not(victim.cookies.get('sid'), before)
    t.deepEqual(JSON.parse((await victim.get('/')).text), kept)
    t.deepEqual(JSON.parse((await attacker.get('/')).text), {})
  }
})

test('security 9: a cookie whose name differs in case is another cookie', async (t) => {
  const app = new Koa().use(session())
  app.use((ctx) => {
    if (ctx.path === '/in') ctx.session.set('user', 'ann')
    ctx.body = String(ctx.session.get('user'))
  })
  const { client } = await serve(t, app)
  const visitor = client()
  await visitor.get('/in')
  const id = visitor.cookies.get('sid') ?? ''
  t.is((await client().get('/', { headers: { cookie: `SID=${id}; Sid=${id}` } })).text, 'undefined')
  t.is((await client().get('/', { headers: { cookie: `SID=x; sid=${id}` } })).text, 'ann')
})
