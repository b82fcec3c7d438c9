import test from 'ava'
import { z } from 'zod'
import type { ObjectSchema, StandardSchemaV1 } from '../src/codec/standard-schema.ts'
import { SessionError } from '../src/errors.ts'
import { type Class, createRegistry, defaultRegistry, registerType } from '../src/registry.ts'
import { SessionManager } from '../src/session/manager.ts'

class Cart {
  items: string[] = []
}

class Other {
  name = 'other'
}

function codeOf(action: () => unknown): string | undefined {
  try {
    action()
  } catch (error) {
    if (error instanceof SessionError) return error.code
    throw error
  }
  return undefined
}

/** An object schema as a library makes one that is not zod. */
function objectSchema(
  fields: { readonly entries: object },
  validate: StandardSchemaV1['~standard']['validate'],
): ObjectSchema {
  return { ...fields, '~standard': { version: 1, vendor: 'test', validate } }
}

test('a class is found by its name and by its prototype', (t) => {
  const registry = createRegistry()
  registry.registerType(Cart)
  t.is(registry.planNamed('Cart')?.type, Cart)
  t.is(registry.planOf(Cart.prototype)?.name, 'Cart')
  t.is(registry.planNamed('Other'), undefined)
})

test('registering the same class under the same name again does nothing', (t) => {
  const registry = createRegistry()
  registry.registerType(Cart)
  const plan = registry.planNamed('Cart')
  t.notThrows(() => registry.registerType(Cart))
  t.notThrows(() => registry.registerType(Cart, { name: 'Cart' }))
  t.is(registry.planNamed('Cart'), plan)
})

test('of the built-in classes only RegExp can be registered, which allows regular expressions', (t) => {
  const registry = createRegistry()
  t.false(registry.allowsRegExps)
  registry.registerType(RegExp)
  registry.registerType(RegExp)
  t.true(registry.allowsRegExps)
  t.false(createRegistry().allowsRegExps)
  t.throws(() => registry.registerType(RegExp, { name: 'Pattern' }), {
    code: 'ERR_SESSION_TYPE',
    message: 'registerType: RegExp is registered without options',
  })
  for (const type of [Date, Map, URL, Error, Uint8Array])
    t.throws(() => registry.registerType<object>(type), {
      code: 'ERR_SESSION_TYPE',
      message: /except RegExp$/,
    })
})

test('a name belongs to one class, and a class has one name', (t) => {
  const registry = createRegistry()
  registry.registerType(Cart)
  t.is(
    codeOf(() => registry.registerType(Other, { name: 'Cart' })),
    'ERR_SESSION_TYPE',
  )
  t.is(
    codeOf(() => registry.registerType(Cart, { name: 'Basket' })),
    'ERR_SESSION_TYPE',
  )
  t.is(registry.planNamed('Basket'), undefined)
  t.is(registry.planNamed('Cart')?.type, Cart)
})

test('a class without a name, or with one that looks minified, needs an explicit name', (t) => {
  const registry = createRegistry()
  const minified = {
    ab: class {
      field = 1
    },
  }.ab
  const anonymous = [
    class {
      field = 1
    },
  ][0]
  const misleading = class {
    static readonly name = 5
    field = 1
  }
  for (const type of [minified, anonymous, misleading]) {
    const error = t.throws(() => registry.registerType(type as Class), { instanceOf: SessionError })
    t.is(error.code, 'ERR_SESSION_TYPE')
    t.regex(error.message, /`name`/)
  }
  t.notThrows(() => registry.registerType(minified, { name: 'ab' }))
})

test('a name with spaces, quotes or control characters is refused', (t) => {
  const registry = createRegistry()
  for (const name of ['', 'two words', 'a"b', "a'b", 'a\nb', 'a\u0000b', 'x'.repeat(65)]) {
    t.is(
      codeOf(() => registry.registerType(Cart, { name })),
      'ERR_SESSION_TYPE',
      JSON.stringify(name),
    )
  }
  t.notThrows(() => registry.registerType(Cart, { name: 'shop/Cart:2' }))
})

test('a subclass of a built-in class needs encode and decode', (t) => {
  class Prices extends Map<string, number> {}
  class Tags extends Set<string> {}
  class Rows extends Array<number> {}
  class Problem extends TypeError {}
  class Day extends Date {}
  class Bytes extends Uint8Array {}
  class Deep extends Prices {}
  const registry = createRegistry()
  for (const type of [Prices, Tags, Rows, Problem, Day, Bytes, Deep]) {
    t.is(
      codeOf(() => registry.registerType<object>(type)),
      'ERR_SESSION_TYPE',
      type.name,
    )
  }
  t.notThrows(() =>
    registry.registerType(Prices, {
      encode: (prices) => [...prices],
      decode: (plain: [string, number][]) => new Prices(plain),
    }),
  )
})

test('a class whose instances could be awaited by accident is refused', (t) => {
  class Later extends Promise<void> {}
  class Query {
    // oxlint-disable-next-line unicorn/no-thenable
    then(): void {}
  }
  const registry = createRegistry()
  const hooks = { encode: () => 1, decode: () => new Later(() => {}) }
  t.is(
    codeOf(() => registry.registerType(Later, hooks)),
    'ERR_SESSION_TYPE',
  )
  t.is(
    codeOf(() => registry.registerType(Query)),
    'ERR_SESSION_TYPE',
  )
})

test('built-in classes, and values that are not classes, are refused', (t) => {
  const registry = createRegistry()
  const arrow = (): void => {}
  for (const type of [Object, Array, Map, Date, Error, TypeError, URL, Buffer, Promise, arrow, {}, 5, null]) {
    t.is(
      codeOf(() => registry.registerType(type as unknown as Class)),
      'ERR_SESSION_TYPE',
    )
  }
})

test('encode without decode, or the other way round, is refused', (t) => {
  const registry = createRegistry()
  t.is(
    codeOf(() => registry.registerType(Cart, { encode: () => 1 })),
    'ERR_SESSION_TYPE',
  )
  t.is(
    codeOf(() => registry.registerType(Cart, { decode: () => new Cart() })),
    'ERR_SESSION_TYPE',
  )
})

test('a version is a whole number from 1', (t) => {
  const registry = createRegistry()
  for (const version of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    t.is(
      codeOf(() => registry.registerType(Cart, { version })),
      'ERR_SESSION_TYPE',
    )
  }
  registry.registerType(Cart, { version: 7 })
  t.is(registry.planNamed('Cart')?.version, 7)
})

test('the fields of a class are those of its schema', (t) => {
  const registry = createRegistry()
  registry.registerType(Cart, { schema: z.object({ items: z.array(z.string()) }) })
  t.deepEqual([...(registry.planNamed('Cart')?.fields ?? [])], ['items'])
  registry.registerType(Other, { schema: objectSchema({ entries: { name: 0 } }, () => ({ value: 0 })) })
  t.deepEqual([...(registry.planNamed('Other')?.fields ?? [])], ['name'])
})

test('a schema that lists no fields is refused', (t) => {
  const wrong: unknown[] = [
    z.string(),
    { shape: { name: 0 } }, // as zod before 3.24
    { '~standard': { version: 2, vendor: 'test', validate: () => ({ value: 0 }) }, shape: { name: 0 } },
    null,
  ]
  for (const schema of wrong) {
    t.throws(() => createRegistry().registerType(Other, { schema: schema as ObjectSchema }), {
      instanceOf: SessionError,
      code: 'ERR_SESSION_TYPE',
      message: /^registerType: the schema of 'Other' is no object schema/,
    })
  }
})

test('an object schema of any library checks instances, and no other field is kept', (t) => {
  const schema = objectSchema({ entries: { name: 0 } }, (value) =>
    value instanceof Other && value.name === 'other'
      ? { value }
      : { issues: [{ message: '', path: [{ key: 'name' }] }] },
  )
  const registry = createRegistry()
  registry.registerType(Other, { schema })
  const session = new SessionManager({ registry }).begin()
  t.notThrows(() => session.set('other', new Other()))
  const expected = { instanceOf: SessionError, code: 'ERR_SESSION_VALUE' }
  t.throws(() => session.set('other', Object.assign(new Other(), { name: 'x' })), {
    ...expected,
    message: /^other\.name: it does not match the schema of 'Other'/,
  })
  t.throws(() => session.set('other', Object.assign(new Other(), { more: 1 })), {
    ...expected,
    message: /^other\.more: a field of 'Other' that is not in its schema/,
  })
})

test('an object schema that answers later is an error when an instance is written', (t) => {
  const registry = createRegistry()
  registry.registerType(Other, {
    schema: objectSchema({ entries: { name: 0 } }, async () => {
      throw new Error('not handled')
    }),
  })
  const session = new SessionManager({ registry }).begin()
  const error = t.throws(() => session.set('other', new Other()), {
    instanceOf: SessionError,
    code: 'ERR_SESSION_VALUE',
    message: "other: the schema of 'Other' failed",
  })
  t.regex(String(error.cause), /asynchronous/)
})

test('mergeOf returns the merge of the class of a value, and undefined for any other value', (t) => {
  class Counter {
    readonly count: number
    constructor(count: number) {
      this.count = count
    }
  }
  class Loud extends Counter {}
  const registry = createRegistry()
  registry.registerType(Cart)
  registry.registerType(Counter, {
    merge: (base, mine, theirs) => new Counter(mine.count + theirs.count - (base?.count ?? 0)),
  })
  const merge = registry.mergeOf(new Counter(1))
  if (typeof merge !== 'function') return t.fail('the function of the class was expected')
  t.deepEqual(merge(new Counter(2), new Counter(3), new Counter(5)), new Counter(6))
  t.deepEqual(merge(undefined, new Counter(3), new Counter(5)), new Counter(8))
  for (const value of [
    new Cart(),
    new Loud(1),
    {},
    Object.create(null),
    new Proxy(new Counter(1), {}),
    null,
    5,
  ]) {
    t.is(registry.mergeOf(value), undefined)
  }
})

test('a class that is kept as its fields may be merged by them, and mergeOf says so', (t) => {
  const registry = createRegistry()
  registry.registerType(Cart, { merge: 'fields' })
  t.is(registry.mergeOf(new Cart()), 'fields')
})

test('a collection with encode and decode may be merged by its items', (t) => {
  class Prices extends Map<string, number> {}
  class Tags extends Set<string> {}
  class Rows extends Array<number> {}
  class LongRows extends Rows {}
  const registry = createRegistry()
  for (const instance of [new Prices(), new Tags(), new Rows(), new LongRows()]) {
    const type = instance.constructor as Class
    registry.registerType(type, { encode: () => [], decode: () => instance, merge: 'items' })
    t.is(registry.mergeOf(instance), 'items', type.name)
  }
})

test('a merge that cannot work for the class is refused, and the text says what can', (t) => {
  const hooks = { encode: () => 1, decode: () => new Cart() }
  const refused: [title: string, options: object, text: RegExp][] = [
    ['an unknown word', { merge: 'deep' }, /'fields', 'items' or a function/],
    ['an empty word', { merge: '' }, /'fields', 'items' or a function/],
    ['not a word', { merge: true }, /'fields', 'items' or a function/],
    ['null', { merge: null }, /'fields', 'items' or a function/],
    ['fields of a class with encode', { ...hooks, merge: 'fields' }, /`encode`.*function/],
    ['items of a class without any', { merge: 'items' }, /Array, Map or Set.*function or 'fields'/],
    ['items of such a class with encode', { ...hooks, merge: 'items' }, /Array, Map or Set.*function$/],
  ]
  for (const [title, options, text] of refused) {
    const registry = createRegistry()
    const error = t.throws(() => registry.registerType(Cart, options), { instanceOf: SessionError }, title)
    t.is(error.code, 'ERR_SESSION_TYPE', title)
    t.regex(error.message, text, title)
    t.is(registry.planNamed('Cart'), undefined, title)
  }
})

test('a merge function keeps the this of its options', (t) => {
  class Rules {
    readonly #suffix = ' (merged)'
    merge(_base: Other | undefined, mine: Other, _theirs: Other): Other {
      mine.name += this.#suffix
      return mine
    }
  }
  const registry = createRegistry()
  registry.registerType(Other, new Rules())
  const merge = registry.mergeOf(new Other())
  if (typeof merge !== 'function') return t.fail('the function of the class was expected')
  t.like(merge(undefined, new Other(), new Other()), { name: 'other (merged)' })
})

test('the functions of options that are a class instance are called with it as `this`', (t) => {
  class Rules {
    readonly #prefix = 'kept '
    encode(value: Other): string {
      return this.#prefix + value.name
    }
    decode(plain: string): Other {
      const other = new Other()
      other.name = plain.slice(this.#prefix.length)
      return other
    }
  }
  const registry = createRegistry()
  registry.registerType(Other, new Rules())
  t.is(registry.planNamed('Other')?.hooks?.encode(new Other()), 'kept other')
})

test('registerType fills the registry that sessions use by default, and no other', (t) => {
  class Unusual {
    field = 1
  }
  registerType(Unusual)
  t.is(defaultRegistry.planNamed('Unusual')?.type, Unusual)
  t.is(createRegistry().planNamed('Unusual'), undefined)
})
