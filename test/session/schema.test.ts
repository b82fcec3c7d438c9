import test from 'ava'
import { z } from 'zod'
import { createRegistry, SessionManager } from '../../src/index.ts'
import { MemoryStore } from '../../src/stores/memory.ts'

class Cart {
  items: string[] = []
}
const registry = createRegistry()
registry.registerType(Cart)
const schema = {
  userId: z.int(),
  cart: z.instanceof(Cart),
  name: z.string().min(1).optional(),
  tags: z.array(z.string().max(3)),
}

test('a value that does not fit the schema is refused at set, with its path', (t) => {
  const session = new SessionManager({ schema, registry }).begin()
  // What a JavaScript program can do.
  const untyped = session as unknown as { set: (key: string, value: unknown) => unknown }
  t.throws(() => untyped.set('userId', 'one'), { code: 'ERR_SESSION_VALUE', message: /^userId\b/ })
  t.throws(() => untyped.set('tags', ['a', 'toolong']), { code: 'ERR_SESSION_VALUE', message: /^tags\.1\b/ })
  t.throws(() => untyped.set('cart', { items: [] }), { code: 'ERR_SESSION_VALUE', message: /^cart\b/ })
  t.throws(() => untyped.set('userid', 1), {
    code: 'ERR_SESSION_VALUE',
    message: /no key 'userid'; it has userId, cart, name, tags/,
  })
  t.is(session.size, 0)
  session.set('userId', 1).set('cart', new Cart()).set('name', undefined)
  t.is(session.size, 3)
})

test('a change in place that does not fit is refused at commit', async (t) => {
  const manager = new SessionManager({ schema, registry })
  const session = manager.begin().set('tags', ['a'])
  await manager.commit(session)
  const again = await manager.open(session.id)
  again.get('tags')?.push('toolong')
  await t.throwsAsync(manager.commit(again), { code: 'ERR_SESSION_VALUE', message: /^tags\.1/ })
  t.deepEqual((await manager.open(session.id)).get('tags'), ['a'])
})

test('what an older version stored and the schema no longer allows throws for its key alone', async (t) => {
  const store = new MemoryStore()
  const older = new SessionManager({ store })
  const session = older.begin().set('userId', 'ann').set('name', 'Ann').set('old', 1)
  await older.commit(session)
  const newer = new SessionManager({ store, schema })
  const found = await newer.open(session.id)
  t.throws(() => found.get('userId'), { code: 'ERR_SESSION_DECODE', message: /^userId\b/ })
  t.is(found.get('name'), 'Ann')
  found.set('name', 'Anna')
  t.is(await newer.commit(found), 'ok')
  t.deepEqual(Object.fromEntries(await older.open(session.id)), { userId: 'ann', name: 'Anna', old: 1 })
})

test('a schema that would change values is refused instead of changing them', (t) => {
  const changing = { n: z.coerce.number(), trimmed: z.string().trim(), d: z.string().default('x') }
  const session = new SessionManager({ schema: changing }).begin()
  const untyped = session as unknown as { set: (key: string, value: unknown) => unknown }
  for (const [key, value] of [
    ['n', '5'],
    ['trimmed', ' a '],
    ['d', undefined],
  ] as const) {
    t.throws(() => untyped.set(key, value), {
      code: 'ERR_SESSION_VALUE',
      message: new RegExp(`^${key}: its schema would change`),
    })
  }
  t.notThrows(() => untyped.set('n', 5))
})
