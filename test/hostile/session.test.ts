import test from 'ava'
import { createHash, randomBytes } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { type Session, type SessionEvent, SessionManager } from '../../src/index.ts'
import { hashId } from '../../src/session/id.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { fingerprint } from '../fidelity/fingerprint.ts'
import { Mutator } from './mutator.ts'
import { Canary, codec, pollution, registry, values } from './world.ts'

interface Fixture {
  readonly manager: SessionManager
  readonly store: MemoryStore
  readonly events: SessionEvent[]
  readonly id: string
  readonly key: string
  readonly payload: string
}

const content: readonly (readonly [string, unknown])[] = [
  ['user', 'hunter2'],
  ['cart', new Map([['a', new Canary()]])],
  ['visits', 3],
]

async function fixture(): Promise<Fixture> {
  const store = new MemoryStore()
  const events: SessionEvent[] = []
  const manager = new SessionManager({
    store,
    registry,
    sweepInterval: 0,
    onEvent: (event) => events.push(event),
  })
  const session = manager.begin()
  for (const [name, value] of content) session.set(name, value)
  await manager.commit(session)
  const key = hashId(session.id)
  const payload = (await store.read(key))?.payload ?? ''
  return { manager, store, events, id: session.id, key, payload }
}

/** Replaces the stored payload by other text. */
async function forge({ store, key }: Fixture, payload: string): Promise<void> {
  await store.destroy(key)
  await store.create(key, payload, Date.now() + 60_000)
}

/** The same payload with one line changed, and the length in its header corrected. */
function doctored(payload: string, change: (line: string) => string, name = 'cart'): string {
  const [head = '', ...lines] = payload.split('\n')
  const body = lines.map((line) => (line.startsWith(`"${name}" `) ? change(line) : line)).join('\n')
  return `${head.replace(/^(kts1 \S+ \d+) \d+(?: #\w+)?/, `$1 ${body.length}`)}\n${body}`
}

const foreign: readonly (readonly [string, (payload: string) => string])[] = [
  ['a newer format', (payload) => payload.replace('kts1 ', 'kts2 ')],
  ['a much newer format', (payload) => payload.replace('kts1 ', 'kts17 ')],
  ['an unknown format', (payload) => payload.replace('kts1 ', 'kts0 ')],
  ['the empty text', () => ''],
  ['a newline', () => '\n'],
  ['half of it', (payload) => payload.slice(0, payload.length / 2)],
  ['its header alone', (payload) => payload.slice(0, payload.indexOf('\n') + 1)],
  ['it without its header', (payload) => payload.slice(payload.indexOf('\n') + 1)],
  ['it twice', (payload) => payload + payload],
  ['something before it', (payload) => ` ${payload}`],
  ['a byte order mark before it', (payload) => `\uFEFF${payload}`],
  ['lines that end as on Windows', (payload) => payload.replaceAll('\n', '\r\n')],
  ['the JSON of another library', () => '{"cookie":{"path":"/"},"user":"hunter2"}'],
  ['the text of PHP', () => 'user|s:7:"hunter2";'],
  ['the gob of beego', () => '\u000e\u00ff\u0081\u0004\u0001\u0002\u00ff\u0082'],
  ['random bytes', () => randomBytes(500).toString('latin1')],
  ['random bytes as UTF-8', () => randomBytes(500).toString()],
  ['nothing but zeros', () => '\0'.repeat(1_000)],
  ['it compressed (decoding 12)', (payload) => gzipSync(payload).toString('latin1')],
  ['more than the largest payload', (payload) => payload + 'x'.repeat(2_000_000)],
]

for (const [what, forged] of foreign) {
  test(`decoding 13: ${what} instead of a payload gives a new session under a new ID and an event, and is left in the store`, async (t) => {
    const all = await fixture()
    const text = forged(all.payload)
    await forge(all, text)
    all.events.length = 0
    const session = await all.manager.open(all.id)
    t.true(session.isNew)
    t.not(session.id, all.id)
    t.is(session.size, 0)
    t.like(all.events[0], { type: 'decode-failed', scope: 'payload' })
    t.notRegex(String(Reflect.get(all.events[0] ?? {}, 'error')), /hunter|cart/)
    session.set('user', 'bob')
    t.is(await all.manager.commit(session), 'ok')
    t.is((await all.store.read(all.key))?.payload, text)
    t.is((await all.manager.open(session.id)).get('user'), 'bob')
    t.is(pollution(), undefined)
  })
}

const damages: readonly (readonly [string, (line: string) => string])[] = [
  ['cut off', (line) => line.slice(0, -3)],
  ['empty', () => '"cart" J '],
  ['of an unknown class', (line) => line.replace('Canary', 'Cannery')],
  ['of a newer class', (line) => line.replace('"Canary",1', '"Canary",2')],
  ['one with a __proto__', () => '"cart" J {"__proto__":{"admin":true}}'],
  ['a bomb', () => `"cart" J ${'['.repeat(100_000)}`],
  [
    'one of superjson with a path',
    () => '"cart" S {"json":["a"],"meta":{"values":{"constructor.prototype.x":["URL"]},"v":1}}\t\t"~s0"',
  ],
  ['another text', () => '"cart" T hello'],
  ['an empty S', () => '"cart" S '],
]

for (const [what, damage] of damages) {
  test(`a line that is ${what} affects only its own key, and is copied byte for byte`, async (t) => {
    const all = await fixture()
    await forge(all, doctored(all.payload, damage))
    const line = doctored(all.payload, damage).split('\n')[2]
    all.events.length = 0

    const session = await all.manager.open(all.id)
    t.false(session.isNew)
    t.deepEqual([...session.keys()], ['user', 'cart', 'visits'])
    t.true(session.has('cart'))
    for (const use of [
      () => session.get('cart') as unknown,
      () => session.take('cart') as unknown,
      () => session.update('cart', () => 1),
      () => [...session.entries()],
    ])
      t.throws(use, { code: 'ERR_SESSION_DECODE', message: /^cart\b/ })
    t.true(all.events.some((event) => event.type === 'decode-failed' && event.scope === 'key'))
    t.is(session.get('user'), 'hunter2')
    session.set('user', 'bob')
    session.update('visits', (visits = 0) => Number(visits) + 1)
    session.set('more', [1n])
    t.is(await all.manager.commit(session), 'ok')
    t.is((await all.store.read(all.key))?.payload.split('\n')[2], line)

    const next = await all.manager.open(all.id)
    t.deepEqual([next.get('user'), next.get('visits'), next.get('more')], ['bob', 4, [1n]])
    await all.manager.regenerate(next)
    const moved = await all.manager.open(next.id)
    t.is((await all.store.read(hashId(moved.id)))?.payload.split('\n')[2], line)

    // The key can be deleted, or set again.
    const last = await all.manager.open(next.id)
    last.set('cart', 'new')
    await all.manager.commit(last)
    t.is((await all.manager.open(next.id)).get('cart'), 'new')
    t.is(pollution(), undefined)
  })
}

test('a line that cannot be decoded is preserved by a rebase and by the other request', async (t) => {
  const all = await fixture()
  await forge(
    all,
    doctored(all.payload, (line) => line.slice(0, -1)),
  )
  const line = doctored(all.payload, (text) => text.slice(0, -1)).split('\n')[2]
  const [one, other] = [await all.manager.open(all.id), await all.manager.open(all.id)]
  one.set('user', 'bob')
  other.update('visits', (visits = 0) => Number(visits) + 1)
  t.throws(() => one.get('cart') as unknown, { code: 'ERR_SESSION_DECODE' })
  t.deepEqual([await all.manager.commit(one), await all.manager.commit(other)], ['ok', 'ok'])
  const found = await all.manager.open(all.id)
  t.deepEqual([found.get('user'), found.get('visits')], ['bob', 4])
  t.is((await all.store.read(all.key))?.payload.split('\n')[2], line)
})

test('2,000 mutations of a stored line: that key is a value or an ERR_SESSION_DECODE, and the others are untouched', async (t) => {
  const all = await fixture()
  const lines = values().map(([name, value]) => codec.encode(value, name))
  const mutator = new Mutator(3)
  const counts = { value: 0, error: 0 }
  for (let n = 0; n < 2_000; n++) {
    const line = mutator.mutate(mutator.one(lines), mutator.one(lines)).replaceAll('\n', ' ')
    const text = `"cart" ${/^[JTS] /.test(line) ? line : `J ${line}`}`
    await forge(
      all,
      doctored(all.payload, () => text),
    )
    const session: Session = await all.manager.open(all.id)
    try {
      fingerprint(session.get('cart'))
      counts.value++
    } catch (error) {
      t.like(error, { code: 'ERR_SESSION_DECODE' }, text)
      counts.error++
    }
    session.set('user', `user ${n}`)
    t.is(await all.manager.commit(session), 'ok', text)
    const found = await all.manager.open(all.id)
    if (found.get('user') !== `user ${n}` || found.get('visits') !== 3) t.fail(text)
    const kept = (await all.store.read(all.key))?.payload.split('\n')[2]
    if (kept !== text)
      t.is(
        createHash('sha1')
          .update(kept ?? '')
          .digest('hex'),
        'the line as it was',
        text,
      )
  }
  t.true(counts.value > 200 && counts.error > 200, JSON.stringify(counts))
  t.is(pollution(), undefined)
})
