import test from 'ava'
import { z } from 'zod'
import {
  createRegistry,
  session as createMiddleware,
  SessionError,
  SessionManager,
  type Schema,
  type StandardResult,
  type StandardSchemaV1,
} from '../../src/index.ts'
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

/** What a JavaScript program can do with a session. */
interface UntypedSession {
  set(key: string, value: unknown): unknown
  update(key: string, change: (value: unknown) => unknown): unknown
  get(key: string): unknown
  readonly size: number
}

function untypedSession(given: Schema): UntypedSession {
  return new SessionManager({ schema: given }).begin()
}

/** A schema as a library makes one that is neither zod, valibot nor arktype. */
function schemaOf<T>(
  validate: (value: unknown) => StandardResult | Promise<StandardResult>,
): StandardSchemaV1<T> {
  return { '~standard': { version: 1, vendor: 'test', validate } }
}

const shortText = schemaOf<string>((value) =>
  typeof value === 'string' && value.length < 9
    ? { value }
    : { issues: [{ message: `not short: ${String(value)}` }] },
)

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
  const changing = {
    n: z.coerce.number(),
    trimmed: z.string().trim(),
    d: z.string().default('x'),
    json: z.string().transform(() => ({})),
  }
  const untyped = untypedSession(changing)
  for (const [key, value] of [
    ['n', '5'],
    ['trimmed', ' a '],
    ['d', undefined],
    ['json', '{}'],
  ] as const) {
    t.throws(() => untyped.set(key, value), {
      code: 'ERR_SESSION_VALUE',
      message: new RegExp(`^${key}: its schema would change`),
    })
  }
  t.notThrows(() => untyped.set('n', 5))
})

test('a Standard Schema of any library types and checks a session', async (t) => {
  const lists = schemaOf<string[]>((value) => {
    const index = Array.isArray(value) ? value.findIndex((each) => typeof each !== 'string') : 0
    return index === -1 ? { value } : { issues: [{ message: 'no text', path: ['of', { key: index }] }] }
  })
  // The schemas of arktype are functions.
  const callable: StandardSchemaV1<string> = Object.assign(() => 0, shortText)
  const manager = new SessionManager({ schema: { name: shortText, lists, callable } })
  const session = manager.begin().set('name', 'Ann').set('lists', ['a']).set('callable', 'b')
  await manager.commit(session)
  const name: string | undefined = (await manager.open(session.id)).get('name')
  t.is(name, 'Ann')
  const untyped = session as unknown as UntypedSession
  t.throws(() => untyped.set('lists', ['a', 2]), {
    code: 'ERR_SESSION_VALUE',
    message: /^lists\.of\.1 does not/,
  })
  t.throws(() => untyped.set('callable', 7), { code: 'ERR_SESSION_VALUE', message: /^callable does not/ })
})

test("a library's message is left out where it may quote the value", (t) => {
  const untyped = untypedSession({ password: shortText })
  const error = t.throws(() => untyped.set('password', 'correct horse'), { code: 'ERR_SESSION_VALUE' })
  t.is(error.message, "password does not fit the session's schema")
  t.is(error.cause, undefined)
})

const notSchemas: Record<string, unknown> = {
  'no schema': undefined,
  'a schema of zod before 3.24': { _def: { typeName: 'ZodString' }, safeParse: () => ({ success: true }) },
  'a class': Cart,
  'a Standard Schema of version 2': {
    '~standard': { version: 2, vendor: 'test', validate: () => ({ value: 1 }) },
  },
  'a Standard Schema without validate': { '~standard': { version: 1, vendor: 'test' } },
}
for (const [what, value] of Object.entries(notSchemas)) {
  test(`${what} is refused at start, and the key is named`, (t) => {
    // What a JavaScript program can do.
    const wrong = { schema: { name: shortText, user: value as StandardSchemaV1 } }
    const expected = {
      code: 'ERR_SESSION_OPTIONS',
      message: /^session: schema\.user: is not a schema of zod 4/,
    }
    t.throws(() => new SessionManager(wrong), expected)
    t.throws(() => createMiddleware(wrong), expected)
  })
}

test('one schema for all keys is refused at start', (t) => {
  // The compiler refuses it, too.
  const whole = z.object({ userId: z.int() }) as unknown as Schema
  const expected = {
    code: 'ERR_SESSION_OPTIONS',
    message: /^session: schema: must be an object with a schema for each key/,
  }
  t.throws(() => new SessionManager({ schema: whole }), expected)
  t.throws(() => new SessionManager({ schema: shortText as unknown as Schema }), expected)
})

test('no schema is run at start, since it may refer to what the program defines later', (t) => {
  let calls = 0
  const counting = schemaOf<string>((value) => {
    calls += 1
    return { value }
  })
  const manager = new SessionManager({ schema: { name: z.lazy(() => later), counting } })
  const later = z.string()
  t.is(calls, 0)
  t.notThrows(() => manager.begin().set('name', 'Ann').set('counting', 'a'))
  t.is(calls, 1)
})

const failure = new Error('the schema itself is wrong')
const failing: Record<string, StandardSchemaV1> = {
  'a schema that throws': schemaOf(() => {
    throw failure
  }),
  'a zod type with a function that throws': z.unknown().refine(() => {
    throw failure
  }),
}
const asynchronous: Record<string, StandardSchemaV1> = {
  'an asynchronous schema': schemaOf(async (value) => ({ value })),
  'an asynchronous schema that rejects': schemaOf(async () => {
    throw failure
  }),
  'an asynchronous zod type': z.unknown().refine(async () => true),
}
// What a JavaScript program can answer.
const malformed = [
  undefined,
  null,
  'value',
  {},
  { issues: null },
  { issues: 'x' },
  { issues: [null] },
  { issues: [{ path: [{}, null] }] },
]

for (const [what, given] of Object.entries({ ...failing, ...asynchronous })) {
  test(`${what} is a SessionError at set, at update and at get, with its cause`, async (t) => {
    const untyped = untypedSession({ key: given })
    const expected = {
      instanceOf: SessionError,
      code: 'ERR_SESSION_VALUE',
      message: /^key: its schema failed/,
    }
    for (const write of [() => untyped.set('key', 1), () => untyped.update('key', () => 1)]) {
      const error = t.throws(write, expected)
      if (what in failing) t.is(error.cause, failure)
      else t.true(error.cause instanceof Error)
    }
    t.is(untyped.size, 0)

    const store = new MemoryStore()
    const older = new SessionManager({ store })
    const stored = older.begin().set('key', 1)
    await older.commit(stored)
    const found = await new SessionManager({ store, schema: { key: given } }).open(stored.id)
    t.throws(() => found.get('key'), {
      instanceOf: SessionError,
      code: 'ERR_SESSION_DECODE',
      message: /^key: its/,
    })
  })
}

test('a schema that answers neither a value nor issues lets nothing pass', (t) => {
  for (const result of malformed) {
    const untyped = untypedSession({ key: schemaOf(() => result as unknown as StandardResult) })
    t.throws(() => untyped.set('key', 1), {
      instanceOf: SessionError,
      code: 'ERR_SESSION_VALUE',
      message: /^key\b/,
    })
  }
})
