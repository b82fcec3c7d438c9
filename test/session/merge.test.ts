import test, { type ExecutionContext } from 'ava'
import * as fc from 'fast-check'
import { z } from 'zod'
import { defaultLimits } from '../../src/codec/limits.ts'
import { ValueCodec } from '../../src/codec/value/value-codec.ts'
import { SessionError } from '../../src/errors.ts'
import { createRegistry, type Registry } from '../../src/registry.ts'
import { merge, type Merge, type MergeResult, type MergeTools } from '../../src/session/merge.ts'

class Cart {
  items: string[] = []
  coupon: string | null = null
  total: Total | null = new Total(0)
  address: Address | null = null
}

/** Its function adds up what both sides added. */
class Total {
  cents: number
  constructor(cents: number) {
    this.cents = cents
  }
  static merge(base: Total | undefined, mine: Total, theirs: Total): Total {
    if (mine.cents < 0) throw new RangeError('a total is not negative')
    return new Total(mine.cents + theirs.cents - (base?.cents ?? 0))
  }
}

class Address {
  street = ''
  city = ''
}

/** Kept as its fields, but without a merge of its own. */
class Point {
  x = 0
  y = 0
}

class Token {
  value = ''
}

class Tags extends Set<unknown> {
  override add(member: unknown): this {
    return super.add(typeof member === 'string' ? member.toLowerCase() : member)
  }
}
class Prices extends Map<unknown, unknown> {}
class Rows extends Array<unknown> {}

class Labelled extends Set<unknown> {
  label = ''
}

/** Its `decode` does not return one. */
class Lost extends Set<unknown> {}

const registry = createRegistry()
registry.registerType(Cart, { merge: 'fields' })
registry.registerType(Total, { merge: Total.merge })
registry.registerType(Address, {
  merge: 'fields',
  schema: z.object({ street: z.string(), city: z.string() }),
})
registry.registerType(Point)
registry.registerType(Token, {
  encode: (token) => token.value,
  decode: (plain) => Object.assign(new Token(), { value: plain }),
})
registry.registerType(Tags, {
  merge: 'items',
  encode: (tags) => [...tags],
  decode: (plain) => new Tags(plain as unknown[]),
})
registry.registerType(Prices, {
  merge: 'items',
  encode: (prices) => new Map(prices),
  decode: (plain) => new Prices(plain as Map<unknown, unknown>),
})
registry.registerType(Rows, {
  merge: 'items',
  encode: (rows) => [...rows],
  decode: (plain) => Rows.from(plain as unknown[]) as Rows,
})
registry.registerType(Labelled, {
  merge: 'items',
  encode: (set) => [set.label, ...set],
  decode: (plain) => {
    const [label, ...members] = plain as unknown[]
    return Object.assign(new Labelled(members), { label })
  },
})
registry.registerType(Lost, {
  merge: 'items',
  encode: (set) => [...set],
  // What it returns for merged members is not of the class. The types do not see that: they compare what it can do.
  decode: (plain) =>
    (plain as unknown[]).includes('both') ? new Set(plain as unknown[]) : new Lost(plain as unknown[]),
})

const codec = new ValueCodec(registry, defaultLimits)
const tools = toolsOf(registry)

function toolsOf(types: Registry): MergeTools {
  const own = new ValueCodec(types, defaultLimits)
  return {
    encode: (value, key) => own.encode(value, key),
    mergeOf: (value) => types.mergeOf(value),
    planOf: (prototype) => types.planOf(prototype),
  }
}

/** The text of a value tells all that is kept of it, its order included. */
function textOf(value: unknown): string {
  return codec.encode(value, 'cart')
}

function copyOf<T>(value: T): T {
  return value === undefined ? value : (codec.decode(textOf(value), 'cart') as T)
}

/**
 * Merges, and checks what holds of every merge: the base and the stored value stay as they are, as does this request's if
 * there is a conflict; and the merge can be undone.
 */
function mergeChecked(
  t: ExecutionContext,
  rule: Merge,
  base: unknown,
  mine: unknown,
  theirs: unknown,
): MergeResult {
  const [baseText, myText, theirText] = [textOf(base), textOf(mine), textOf(theirs)]
  const result = merge(rule, 'cart', base, mine, theirs, tools)
  t.is(textOf(base), baseText, 'the base was changed')
  t.is(textOf(theirs), theirText, 'the stored value was changed')
  if (!result.merged) {
    t.is(textOf(mine), myText, 'there is a conflict, and yet something was changed')
    t.regex(result.reason, /\bcart\b/)
    return result
  }
  const merged = textOf(result.value)
  result.undo()
  t.is(textOf(mine), myText, 'it was not undone')
  const again = merge(rule, 'cart', base, mine, theirs, tools)
  t.is(again.merged && textOf(again.value), merged, 'a second merge has another result')
  return again
}

/** The reason of a conflict, where the other rows have a value. */
class Refused {
  readonly reason: string
  constructor(reason: string) {
    this.reason = reason
  }
}

function cart(fields: Partial<Cart>): Cart {
  return Object.assign(new Cart(), fields)
}

function address(street: string, city: string): Address {
  return Object.assign(new Address(), { street, city })
}

/** Without a prototype. */
function bare(fields: object): object {
  return Object.assign(Object.create(null) as object, fields)
}

const hole = Symbol('hole')

function holed(...items: unknown[]): unknown[] {
  const array = [...items]
  for (const [index, item] of items.entries()) if (item === hole) Reflect.deleteProperty(array, index)
  return array
}

const shared = { n: 1 }

type Row = [title: string, rule: Merge, base: unknown, mine: unknown, theirs: unknown, outcome: unknown]

const rows: Row[] = [
  [
    'fields that different requests replaced both keep their change',
    'fields',
    { a: 1, b: 1, c: 1 },
    { a: 2, b: 1, c: 1 },
    { a: 1, b: 2, c: 1 },
    { a: 2, b: 2, c: 1 },
  ],
  [
    'fields stand in the order of the stored value, and what this request added follows',
    'fields',
    { a: 1 },
    { m: 1, a: 1, n: 1 },
    { t: 1, a: 1, u: 1 },
    { t: 1, a: 1, u: 1, m: 1, n: 1 },
  ],
  [
    'a field that either side deleted is gone',
    'fields',
    { a: 1, b: 1, c: 1 },
    { b: 1, c: 2 },
    { a: 1, c: 1 },
    { c: 2 },
  ],
  [
    'a field that both changed is a conflict',
    'fields',
    { a: 1, b: 1 },
    { a: 2, b: 2 },
    { a: 1, b: 3 },
    new Refused('both requests changed cart.b'),
  ],
  [
    'a field that both changed to the same value is a conflict',
    'fields',
    { a: 1, n: 1 },
    { a: 2, n: 2 },
    { a: 1, n: 2 },
    new Refused('both requests changed cart.n'),
  ],
  [
    'a field that both added is a conflict, and its name is quoted where it must be',
    'fields',
    {},
    { 'a b': 1, mine: 1 },
    { 'a b': 1 },
    new Refused('both requests changed cart["a b"]'),
  ],
  [
    'a field that both deleted is a conflict',
    'fields',
    { a: 1, b: 1, c: 1 },
    { c: 1 },
    { b: 1 },
    new Refused('both requests changed cart.a'),
  ],
  [
    'a field that one deleted and the other changed is a conflict',
    'fields',
    { a: 1, b: 1 },
    { b: 1 },
    { a: 2, b: 1 },
    new Refused('both requests changed cart.a'),
  ],
  [
    'a plain object in a field is one value: merging is not declared for it',
    'fields',
    { inner: { a: 1, b: 1 } },
    { inner: { a: 2, b: 1 } },
    { inner: { a: 1, b: 2 } },
    new Refused('both requests changed cart.inner'),
  ],
  [
    'an undefined field is not a missing one, nor is -0 the number 0',
    'fields',
    { a: undefined, n: 0 },
    { n: 0, m: 1 },
    { a: undefined, n: -0 },
    { n: -0, m: 1 },
  ],
  [
    'an object without a prototype is merged by its fields',
    'fields',
    bare({ a: 1, b: 1 }),
    bare({ a: 2, b: 1 }),
    bare({ a: 1, b: 2 }),
    bare({ a: 2, b: 2 }),
  ],
  [
    'an instance keeps its class, and is merged by a rule of its key although its class has none',
    'fields',
    Object.assign(new Point(), { x: 0, y: 0 }),
    Object.assign(new Point(), { x: 1, y: 0 }),
    Object.assign(new Point(), { x: 0, y: 2 }),
    Object.assign(new Point(), { x: 1, y: 2 }),
  ],
  [
    'fields whose class has a merge of its own are merged by it if both changed them',
    'fields',
    cart({ total: new Total(10), address: address('', '') }),
    cart({ total: new Total(15), address: address('Elm St', ''), coupon: 'SPRING' }),
    cart({ total: new Total(12), address: address('', 'Rome'), items: ['pear'] }),
    cart({ total: new Total(17), address: address('Elm St', 'Rome'), coupon: 'SPRING', items: ['pear'] }),
  ],
  [
    'a conflict in a field of a field names the path to it',
    'fields',
    cart({ address: address('', '') }),
    cart({ address: address('Elm St', ''), coupon: 'SPRING' }),
    cart({ address: address('Oak St', '') }),
    new Refused('both requests changed cart.address.street'),
  ],
  [
    'a conflict after a field that could be merged names its own path',
    'fields',
    cart({ address: address('', '') }),
    cart({ total: new Total(1), address: address('Elm St', '') }),
    cart({ total: new Total(2), address: address('Oak St', '') }),
    new Refused('both requests changed cart.address.street'),
  ],
  [
    'a field that held no instance of the class is a conflict if both put one there',
    'fields',
    cart({ total: null }),
    cart({ total: new Total(1) }),
    cart({ total: new Total(2) }),
    new Refused('both requests replaced cart.total by a value of another class'),
  ],
  [
    'a field to which both gave an instance is merged without a base',
    'fields',
    {},
    { mine: 1, total: new Total(1) },
    { total: new Total(2) },
    { total: new Total(3), mine: 1 },
  ],
  [
    'a field that became values of two classes is a conflict, also if they have a merge',
    'fields',
    { part: new Total(1) },
    { part: new Total(2) },
    { part: address('', '') },
    new Refused('the two requests made cart.part values of different classes'),
  ],
  [
    'without a base, fields that only one side has are kept',
    'fields',
    undefined,
    { a: 1 },
    { b: 1 },
    { b: 1, a: 1 },
  ],
  [
    'without a base, a field that both have is a conflict even if it is equal',
    'fields',
    undefined,
    { a: 1, n: 1 },
    { n: 1 },
    new Refused('both requests changed cart.n'),
  ],
  [
    'values of two classes are a conflict',
    'fields',
    undefined,
    new Point(),
    {},
    new Refused('the two requests made cart values of different classes'),
  ],
  [
    'a base of another class is a conflict, null included',
    'fields',
    null,
    { a: 1 },
    { b: 1 },
    new Refused('both requests replaced cart by a value of another class'),
  ],
  ...[
    [[], [1], [2]],
    [new Map(), new Map([[1, 1]]), new Map([[2, 2]])],
    [new Date(0), new Date(1), new Date(2)],
    [1, 2, 3],
    [new Token(), Object.assign(new Token(), { value: 'a' }), Object.assign(new Token(), { value: 'b' })],
  ].map(([base, mine, theirs]): Row => [
    `a value of ${String(mine?.constructor.name)} has no fields to merge`,
    'fields',
    base,
    mine,
    theirs,
    new Refused('cart is not a plain object, and its class does not keep it by its fields'),
  ]),
  [
    'an object in two places of the value is a conflict, since it could become two',
    'fields',
    { a: shared, b: shared, c: 1 },
    { a: shared, b: shared, c: 2 },
    { a: { n: 2 }, b: { n: 1 }, c: 1 },
    new Refused('cart holds one object in two places'),
  ],
  [
    'text that looks like a token of the codec is text',
    'fields',
    { a: '~r0', b: new RangeError('"~r0"'), c: '"~r0' },
    { a: '~r1', b: new RangeError('"~r0"'), c: '"~r0' },
    { a: '~r0', b: new RangeError('"~r0"'), c: '\\"~r1' },
    { a: '~r1', b: new RangeError('"~r0"'), c: '\\"~r1' },
  ],
  [
    'a change that only this request made is the result',
    'fields',
    { a: shared, b: shared },
    { b: shared, a: shared },
    { a: shared, b: shared },
    { b: shared, a: shared },
  ],
  [
    'a change that only the other request made is the result',
    'fields',
    { a: shared, b: shared },
    { a: shared, b: shared },
    { b: shared, a: shared },
    { b: shared, a: shared },
  ],

  ['two pushes are both kept, the stored one first', 'items', ['a'], ['a', 'm'], ['a', 't'], ['a', 't', 'm']],
  ['equal items that both push are both kept', 'items', ['a'], ['a', 'x'], ['a', 'x'], ['a', 'x', 'x']],
  ['arrays without a base are joined', 'items', undefined, ['m'], ['t'], ['t', 'm']],
  [
    'items that different requests inserted, deleted and replaced all keep their change',
    'items',
    ['a', 'b', 'c', 'd', 'e'],
    ['m', 'a', 'c', 'd', 'e'],
    ['a', 'b', 'c', 'D', 'e', 't'],
    ['m', 'a', 'c', 'D', 'e', 't'],
  ],
  [
    'neighbours may be replaced by different requests',
    'items',
    ['a', 'b'],
    ['A', 'b'],
    ['a', 'B'],
    ['A', 'B'],
  ],
  [
    'an insertion beside a run that the other side replaced stays beside it',
    'items',
    ['a', 'b', 'c'],
    ['a', 'B', 'c'],
    ['a', 't', 'b', 'u', 'c'],
    ['a', 't', 'B', 'u', 'c'],
  ],
  ['an array that one emptied keeps what the other pushed', 'items', ['a', 'b'], [], ['a', 'b', 't'], ['t']],
  [
    'an insertion inside a run that the other side deleted is a conflict',
    'items',
    ['a', 'b'],
    [],
    ['a', 't', 'b'],
    new Refused('both requests changed the same items of cart'),
  ],
  [
    'an item that both deleted is a conflict',
    'items',
    ['a', 'b', 'c'],
    ['b', 'c'],
    ['b'],
    new Refused('both requests changed the same items of cart'),
  ],
  [
    'an item that both replaced is a conflict, even by the same',
    'items',
    ['a', 'b'],
    ['x', 'b', 'm'],
    ['x', 'b'],
    new Refused('both requests changed the same items of cart'),
  ],
  [
    'equal items of which each side deleted one are a conflict: it may have been the same one',
    'items',
    ['a', 'b', 'a'],
    ['b', 'a'],
    ['a', 'b'],
    new Refused('both requests changed the same items of cart'),
  ],
  [
    'an item that both moved is a conflict',
    'items',
    ['a', 'b', 'c'],
    ['b', 'c', 'a'],
    ['b', 'a', 'c'],
    new Refused('both requests changed the same items of cart'),
  ],
  [
    'holes stay holes, and are not undefined',
    'items',
    holed('a', hole, 'b'),
    holed('a', hole, 'b', undefined),
    ['t', 'a', 'filled', 'b'],
    ['t', 'a', 'filled', 'b', undefined],
  ],
  [
    'a hole that neither side filled stays a hole',
    'items',
    holed('a', hole, 'b', hole),
    holed('a', hole, 'm', 'b', hole),
    holed('t', 'a', hole, 'b', hole),
    holed('t', 'a', hole, 'm', 'b', hole),
  ],

  [
    'entries of a Map that different requests changed all keep their change',
    'items',
    new Map([
      ['a', 1],
      ['b', 1],
      ['c', 1],
    ]),
    new Map([
      ['b', 2],
      ['c', 1],
      ['m', 1],
    ]),
    new Map([
      ['t', 1],
      ['a', 1],
      ['b', 1],
      ['c', 3],
    ]),
    new Map([
      ['t', 1],
      ['b', 2],
      ['c', 3],
      ['m', 1],
    ]),
  ],
  [
    'an entry that both changed is a conflict, even to the same value, and its key is not told',
    'items',
    new Map([
      ['a', 1],
      ['secret', 1],
    ]),
    new Map([
      ['a', 2],
      ['secret', 2],
    ]),
    new Map([
      ['a', 1],
      ['secret', 2],
    ]),
    new Refused('both requests changed cart[value 1]'),
  ],
  [
    'keys are told apart by their text, whatever they are',
    'items',
    new Map<unknown, number>([
      [{ id: 1 }, 1],
      [1, 1],
      ['1', 1],
    ]),
    new Map<unknown, number>([
      [{ id: 1 }, 2],
      [1, 1],
      ['1', 1],
    ]),
    new Map<unknown, number>([
      [{ id: 1 }, 1],
      [1, 2],
      ['1', 1],
      [{ id: 2 }, 1],
    ]),
    new Map<unknown, number>([
      [{ id: 1 }, 2],
      [1, 2],
      ['1', 1],
      [{ id: 2 }, 1],
    ]),
  ],
  [
    'a Map with equal keys is a conflict',
    'items',
    new Map(),
    new Map([
      [{}, 1],
      [{}, 2],
    ]),
    new Map([['a', 1]]),
    new Refused('cart has equal keys'),
  ],
  [
    'a value in a Map whose class has a merge is merged by it',
    'items',
    new Map([['a', new Total(1)]]),
    new Map([['a', new Total(2)]]),
    new Map([
      ['a', new Total(3)],
      ['b', new Total(0)],
    ]),
    new Map([
      ['a', new Total(4)],
      ['b', new Total(0)],
    ]),
  ],
  [
    'a conflict inside a value of a Map names the path to it',
    'items',
    new Map([['a', address('', '')]]),
    new Map([['a', address('', 'Rome')]]),
    new Map([['a', address('', 'Bern')]]),
    new Refused('both requests changed cart[value 0].city'),
  ],
  [
    'Maps without a base are united',
    'items',
    undefined,
    new Map([[1, 1]]),
    new Map([[2, 2]]),
    new Map([
      [2, 2],
      [1, 1],
    ]),
  ],

  [
    'members that either side added are in the Set, and those that either side deleted are not',
    'items',
    new Set(['a', 'b', 'c']),
    new Set(['b', 'c', 'm']),
    new Set(['a', 'c', 't']),
    new Set(['c', 't', 'm']),
  ],
  [
    'the same member added or deleted by both sides is no conflict',
    'items',
    new Set(['a', 'b']),
    new Set(['b', 'x', 'm']),
    new Set(['b', 'x']),
    new Set(['b', 'x', 'm']),
  ],
  [
    'Sets without a base are united',
    'items',
    undefined,
    new Set([1, 2]),
    new Set([2, 3]),
    new Set([2, 3, 1]),
  ],
  [
    'an object that both deleted from a Set, as neither added another one, is gone',
    'items',
    new Set([{ id: 1 }, 'a']),
    new Set(['a', 'm']),
    new Set(['a']),
    new Set(['a', 'm']),
  ],
  [
    'an object in a Set that both may have changed in place is a conflict',
    'items',
    new Set([{ id: 1, n: 0 }]),
    new Set([{ id: 1, n: 1 }]),
    new Set([{ id: 1, n: 2 }]),
    new Refused('both requests changed the same member of cart'),
  ],
  [
    'an object in a Set that one side deleted and the other may have changed in place is a conflict',
    'items',
    new Set([{ id: 1, n: 0 }, 'a']),
    new Set(['a']),
    new Set([{ id: 1, n: 2 }, 'a']),
    new Refused('both requests changed the same member of cart'),
  ],
  [
    'a Set with equal members is a conflict',
    'items',
    new Set(),
    new Set([{}, {}]),
    new Set([1]),
    new Refused('cart has equal members'),
  ],

  ...[
    [{ a: 0 }, { a: 1 }, { a: 2 }],
    [new Uint8Array([0]), new Uint8Array([1]), new Uint8Array([2])],
    ['a', 'b', 'c'],
  ].map(([base, mine, theirs]): Row => [
    `a value of ${String(mine?.constructor.name)} has no items to merge`,
    'items',
    base,
    mine,
    theirs,
    new Refused('cart is not an array, a Map or a Set'),
  ]),
  [
    'a Set that became an array is a conflict',
    'items',
    new Set([1]),
    [1, 2],
    new Set([1, 3]),
    new Refused('the two requests made cart values of different classes'),
  ],

  [
    'a registered subclass of Set is merged by its items, and made by its decode',
    'items',
    new Tags(['a']),
    new Tags(['a', 'm']),
    new Tags(['a', 't']),
    new Tags(['a', 't', 'm']),
  ],
  [
    'a registered subclass of Map is merged by its items',
    'items',
    new Prices([
      ['a', 1],
      ['b', 1],
    ]),
    new Prices([
      ['a', 2],
      ['b', 1],
    ]),
    new Prices([['a', 1]]),
    new Prices([['a', 2]]),
  ],
  [
    'a registered subclass of Array is merged by its items',
    'items',
    Rows.from(['a']),
    Rows.from(['a', 'm']),
    Rows.from(['t', 'a']),
    Rows.from(['t', 'a', 'm']),
  ],
  [
    'a class that encodes more than its items is a conflict, as the rest could get lost',
    'items',
    new Labelled(['a']),
    Object.assign(new Labelled(['a', 'm']), { label: 'mine' }),
    Object.assign(new Labelled(['a', 't']), { label: 'theirs' }),
    new Refused('the class of cart does not encode it as its items alone'),
  ],
]

for (const [title, rule, base, mine, theirs, outcome] of rows) {
  test(title, (t) => {
    const result = mergeChecked(t, rule, copyOf(base), copyOf(mine), copyOf(theirs))
    if (outcome instanceof Refused) t.deepEqual(result, { merged: false, reason: outcome.reason })
    else t.is(result.merged && textOf(result.value), textOf(outcome))
  })
}

test('the result is in the object that the program holds, for every kind of value', (t) => {
  for (const [title, rule, base, mine, theirs, outcome] of rows) {
    if (outcome instanceof Refused || title.startsWith('a registered subclass')) continue
    const held = copyOf(mine)
    const [before, other] = [copyOf(base), copyOf(theirs)]
    const result = merge(rule, 'cart', before, held, other, tools)
    const isOther = textOf(mine) === textOf(base)
    t.is(result.merged && result.value, isOther ? other : held, title)
  }
})

test('parts that only the other request changed move over, all others stay the objects that the program holds', (t) => {
  const base = { mine: [1], theirs: [1], both: new Total(1), none: [1] }
  const mine = { mine: [2], theirs: [1], both: new Total(2), none: [1] }
  const theirs = { mine: [1], theirs: [2], both: new Total(2), none: [1] }
  const { mine: kept, none } = mine
  t.true(merge('fields', 'cart', base, mine, theirs, tools).merged)
  t.is(mine.mine, kept)
  t.is(mine.none, none)
  t.is(mine.theirs, theirs.theirs)

  const item = { n: 1 }
  const list: unknown[] = [item, 'm']
  t.true(merge('items', 'cart', [{ n: 1 }], list, [{ n: 0 }, { n: 1 }], tools).merged)
  t.deepEqual(list, [{ n: 0 }, { n: 1 }, 'm'])
  t.is(list[1], item)

  const key = { id: 1 }
  const map = new Map<unknown, unknown>([
    [key, 1],
    ['m', 1],
  ])
  t.true(merge('items', 'cart', new Map([[{ id: 1 }, 1]]), map, new Map([[{ id: 1 }, 2]]), tools).merged)
  t.is(map.get(key), 2)

  const set = new Set<unknown>([key, 'm'])
  t.true(merge('items', 'cart', new Set([{ id: 1 }]), set, new Set([{ id: 1 }, 't']), tools).merged)
  t.true(set.has(key))
  t.is(set.size, 3)
})

test('a frozen or sealed value stays as it is: the result is a new object of its class', (t) => {
  const point = (x: number, y: number): Point => Object.assign(new Point(), { x, y })
  for (const close of [Object.freeze, Object.seal, Object.preventExtensions]) {
    for (const [rule, base, mine, theirs, outcome] of [
      ['fields', point(0, 0), point(1, 0), point(0, 2), point(1, 2)],
      ['items', ['a'], ['a', 'm'], ['a', 't'], ['a', 't', 'm']],
    ] as [Merge, object, object, object, object][]) {
      close(mine)
      const before = textOf(mine)
      const result = mergeChecked(t, rule, base, mine, theirs)
      if (!result.merged) return t.fail(result.reason)
      t.not(result.value, mine)
      t.is(textOf(result.value), textOf(outcome))
      t.is(textOf(mine), before)
    }
  }
  for (const flag of ['writable', 'configurable']) {
    const fixed = { b: 1, a: 1 }
    Object.defineProperty(fixed, 'a', { [flag]: false })
    const result = mergeChecked(t, 'fields', { b: 0, a: 1 }, fixed, { b: 0 })
    t.deepEqual(result.merged && result.value, { b: 1 }, flag)
    t.deepEqual(fixed, { b: 1, a: 1 }, flag)
  }
})

test('a frozen Set or Map is merged in place, since its members can still change', (t) => {
  const set = Object.freeze(new Set(['a', 'm']))
  const result = merge('items', 'cart', new Set(['a']), set, new Set(['a', 't']), tools)
  t.is(result.merged && result.value, set)
  t.deepEqual([...set], ['a', 't', 'm'])
})

test('a frozen part of a value is replaced by a new one, and undo restores the old one', (t) => {
  const frozen = Object.freeze(address('Elm St', ''))
  const mine = cart({ address: frozen })
  const result = merge(
    'fields',
    'cart',
    cart({ address: address('', '') }),
    mine,
    cart({ address: address('', 'Rome') }),
    tools,
  )
  if (!result.merged) return t.fail(result.reason)
  t.deepEqual(mine.address, address('Elm St', 'Rome'))
  result.undo()
  t.is(mine.address, frozen)
})

test('a function is called with the three versions, and its result is the value', (t) => {
  const calls: unknown[][] = []
  const sum = (...versions: unknown[]): unknown => {
    calls.push(versions)
    return 'the result'
  }
  const result = merge(sum, 'cart', 1, 'two', undefined, tools)
  t.is(result.merged && result.value, 'the result')
  t.deepEqual(calls, [[1, 'two', undefined]])
})

test('the function of a class is not called with values of another class', (t) => {
  const refused: [base: unknown, mine: unknown, theirs: unknown][] = [
    [new Total(1), new Total(2), 3],
    [new Total(1), new Total(2), new Point()],
    [null, new Total(2), new Total(3)],
  ]
  const total = registry.mergeOf(new Total(1)) ?? 'fields'
  for (const [base, mine, theirs] of refused) t.false(mergeChecked(t, total, base, mine, theirs).merged)
  const result = mergeChecked(t, total, undefined, new Total(2), new Total(3))
  t.deepEqual(result.merged && result.value, new Total(5))
})

test('what a merge function throws is thrown, and nothing is changed', (t) => {
  const boom = (): never => {
    throw new RangeError('boom')
  }
  t.throws(() => merge(boom, 'cart', 1, 2, 3, tools), { instanceOf: RangeError, message: 'boom' })

  const mine = cart({ total: new Total(-1), address: address('Elm St', '') })
  const before = textOf(mine)
  const theirs = cart({ total: new Total(2), address: address('', 'Rome'), coupon: 'SPRING' })
  const base = cart({ address: address('', '') })
  t.throws(() => merge('fields', 'cart', base, mine, theirs, tools), { message: 'a total is not negative' })
  t.is(textOf(mine), before)
})

test('a function inside a value is not called if there is a conflict anywhere else', (t) => {
  let calls = 0
  class Counted {
    n = 0
  }
  const own = createRegistry()
  own.registerType(Counted, {
    merge: (_base, mine) => {
      calls++
      return mine
    },
  })
  const counted = (n: number): Counted => Object.assign(new Counted(), { n })
  const ownTools = toolsOf(own)
  const [base, theirs] = [
    { a: counted(0), b: 0 },
    { a: counted(2), b: 2 },
  ]
  t.false(merge('fields', 'cart', base, { a: counted(1), b: 1 }, theirs, ownTools).merged)
  t.is(calls, 0)
  t.true(merge('fields', 'cart', base, { a: counted(1), b: 0 }, theirs, ownTools).merged)
  t.is(calls, 1)
})

test('accessors are not called and proxies not asked: the codec refuses them', (t) => {
  const never = (): never => t.fail('it was called')
  const traps = {
    get: never,
    has: never,
    ownKeys: never,
    getPrototypeOf: never,
    getOwnPropertyDescriptor: never,
  }
  const values: [Merge, object, object][] = [
    ['fields', Object.defineProperty({}, 'a', { get: never, enumerable: true }), {}],
    ['fields', new Proxy({}, traps), {}],
    ['items', new Proxy([], traps), []],
    ['fields', { inner: new Proxy({}, traps) }, {}],
    ['items', Object.defineProperty([1], 0, { get: never, enumerable: true }), []],
    ['fields', { [Symbol('s')]: 1 }, {}],
  ]
  for (const [rule, mine, base] of values) {
    const error = t.throws(() => merge(rule, 'cart', base, mine, copyOf(base), tools), {
      instanceOf: SessionError,
    })
    t.is(error.code, 'ERR_SESSION_VALUE')
  }
})

test('an accessor among the items of a registered collection is not called', (t) => {
  class Sized extends Array<unknown> {}
  const own = createRegistry()
  own.registerType(Sized, { encode: ({ length }) => [length], decode: () => new Sized() })
  const mine = Object.defineProperty(new Sized(2), 0, {
    get: () => t.fail('it was called'),
    enumerable: true,
  })
  t.false(merge('items', 'cart', new Sized(1), mine, new Sized(3), toolsOf(own)).merged)
})

test('a collection whose class decodes something else is a conflict', (t) => {
  const [base, mine, theirs] = [new Lost(['a']), new Lost(['a', 'm']), new Lost(['a', 'both'])]
  t.deepEqual(mergeChecked(t, 'items', base, mine, theirs), {
    merged: false,
    reason: 'the class of cart decodes it as a value of another class',
  })
})

test('a registered collection inside a value is made anew, by its class', (t) => {
  const mine = { tags: new Tags(['a', 'm']), n: 1 }
  const theirs = { tags: new Tags(['a', 't']), n: 0 }
  const result = mergeChecked(t, 'fields', { tags: new Tags(['a']), n: 0 }, mine, theirs)
  t.is(result.merged && result.value, mine)
  t.true(mine.tags instanceof Tags)
  t.deepEqual([...mine.tags], ['a', 't', 'm'])
})

test('a key is named as it is in all other messages', (t) => {
  const reasonOf = (key: string): string => {
    const result = merge('fields', key, { a: 1 }, { a: 2 }, { a: 3 }, tools)
    return result.merged ? '' : result.reason
  }
  t.is(reasonOf('user'), 'both requests changed user.a')
  t.is(reasonOf('a key'), 'both requests changed "a key".a')
})

test('20 requests that each push to one array one after another keep all 20', (t) => {
  const pushed = Array.from({ length: 20 }, (_, n) => n)
  for (const base of [undefined, [], ['first']]) {
    let stored: unknown = base
    for (const n of pushed) {
      const mine = [...(base ?? []), n]
      const result = stored === undefined ? undefined : mergeChecked(t, 'items', base, mine, stored)
      if (result?.merged === false) return t.fail(result.reason)
      stored = copyOf(result === undefined ? mine : result.value)
    }
    t.deepEqual(stored, [...(base ?? []), ...pushed])
  }
})

/** The same tools, and how many values and how much text they have encoded. */
function counted(some: MergeTools): { readonly counting: MergeTools; values: number; units: number } {
  const work = { counting: { ...some, encode }, values: 0, units: 0 }
  function encode(value: unknown, key: string): string {
    const text = some.encode(value, key)
    work.values++
    work.units += text.length
    return text
  }
  return work
}

const TOO_LARGE = /^to merge cart(\.\w+)* by its parts takes more work than is allowed$/

test('a large value is a conflict, and little is done to find that out', (t) => {
  const count = (length: number, from = 0): number[] => Array.from({ length }, (_, n) => n + from)
  const names = (length: number): string[] => count(length).map(String)
  const fields = (length: number): object => Object.fromEntries(count(length).map((n) => [`f${n}`, n]))
  const sparse: unknown[] = []
  sparse.length = 100_000
  const large: [title: string, rule: Merge, base: unknown, mine: unknown, theirs: unknown][] = [
    ['items', 'items', count(4_000), count(4_001), count(4_002)],
    ['holes', 'items', [1], sparse, [2]],
    ['members', 'items', new Set(names(4_000)), new Set(names(4_001)), new Set(names(4_002))],
    [
      'entries',
      'items',
      new Map(names(2_000).map((n) => [n, n])),
      new Map(names(2_001).map((n) => [n, n])),
      new Map(names(2_002).map((n) => [n, n])),
    ],
    ['fields', 'fields', fields(4_000), fields(4_001), fields(4_002)],
    ['differences', 'items', count(600), count(600, 1_000), [...count(600), 1]],
  ]
  for (const [title, rule, base, mine, theirs] of large) {
    const work = counted(tools)
    const result = merge(rule, 'cart', base, mine, theirs, work.counting)
    t.regex(result.merged ? '' : result.reason, TOO_LARGE, title)
    // Three are the whole values.
    t.true(work.values <= 10_003, `${title}: ${work.values} values were encoded`)
    t.false(mergeChecked(t, rule, base, mine, theirs).merged)
  }
})

test('each merge may encode 4 Mi units of text, however deep the value is', (t) => {
  class Nested {
    inner: unknown = null
    n = 0
    constructor(inner: unknown, n: number) {
      this.inner = inner
      this.n = n
    }
  }
  const own = createRegistry()
  own.registerType(Nested, { merge: 'fields' })
  const nest = (n: number, text: string): unknown => {
    let value: unknown = { text }
    for (let depth = 0; depth < 50; depth++) value = new Nested(value, depth === 0 ? n : 0)
    return value
  }
  const text = 'x'.repeat(400_000)
  const work = counted(toolsOf(own))
  const result = merge('fields', 'cart', nest(0, text), nest(1, text), nest(2, text), work.counting)
  t.regex(result.merged ? '' : result.reason, TOO_LARGE)
  t.true(work.units < 4_194_304 + 500_000, `${work.units} units were encoded`)
  const short = merge('fields', 'cart', nest(0, ''), nest(1, ''), nest(2, ''), toolsOf(own))
  t.regex(short.merged ? '' : short.reason, /^both requests changed cart(\.inner){49}\.n$/)
})

test('long arrays that differ at their ends are merged', (t) => {
  const base = Array.from({ length: 3_000 }, (_, n) => n)
  const result = merge('items', 'cart', base, [...base, 'm'], ['t', ...base], tools)
  t.deepEqual(result.merged && result.value, ['t', ...base, 'm'])
})

// Properties, over small domains so that changes meet often.

const json = fc.oneof(
  fc.integer({ min: 0, max: 3 }),
  fc.constantFrom('a', '~r0', null, undefined),
  fc.constant({ n: 1 }),
)
const records = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd', '0', 'constructor'), json)
const arrays = fc.array(json, { maxLength: 7 })
const maps = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 5 }), json), { maxLength: 6 })
  .map((entries) => new Map(entries))
const sets = fc
  .array(fc.oneof(fc.integer({ min: 0, max: 6 }), fc.constantFrom('a', 'b')), { maxLength: 6 })
  .map((all) => new Set<unknown>(all))

/** A rule and three versions of a value; sometimes there is no base. */
const changes: fc.Arbitrary<[Merge, unknown, unknown, unknown]> = fc.oneof(
  ...[records, arrays, maps, sets].map((values, kind) =>
    fc.tuple(
      fc.constant<Merge>(kind === 0 ? 'fields' : 'items'),
      fc.option<unknown>(values, { freq: 8 }).map((base) => base ?? undefined),
      values as fc.Arbitrary<unknown>,
      values as fc.Arbitrary<unknown>,
    ),
  ),
)

/** What a collection or an object consists of, without an order. */
function contentOf(value: unknown): string[] {
  if (value === undefined) return []
  if (value instanceof Map) return [...value].map(textOf).toSorted()
  if (value instanceof Set || Array.isArray(value))
    return [...(value as Iterable<unknown>)].map(textOf).toSorted()
  return Object.entries(value as object)
    .map(textOf)
    .toSorted()
}

test('the order of the two requests changes nothing but the order of parts', (t) => {
  fc.assert(
    fc.property(changes, ([rule, base, mine, theirs]) => {
      const one = mergeChecked(t, rule, copyOf(base), copyOf(mine), copyOf(theirs))
      const other = mergeChecked(t, rule, copyOf(base), copyOf(theirs), copyOf(mine))
      t.is(one.merged, other.merged)
      if (one.merged && other.merged) t.deepEqual(contentOf(one.value), contentOf(other.value))
    }),
    { numRuns: 2_000 },
  )
})

test('if only one request changed the value, its value is the result', (t) => {
  fc.assert(
    fc.property(changes, ([rule, base, changed]) => {
      for (const versions of [
        [copyOf(changed), copyOf(base)],
        [copyOf(base), copyOf(changed)],
      ] as const) {
        if (base === undefined) return
        const result = mergeChecked(t, rule, copyOf(base), ...versions)
        t.is(result.merged && textOf(result.value), textOf(changed))
      }
    }),
    { numRuns: 1_000 },
  )
})

test('no insertion, no deletion and no replacement is lost or done twice', (t) => {
  // Of each part there are as many as both changes make: those of one side plus those of the other less those of the base.
  const countsOf = (value: unknown): Map<string, number> => {
    const counts = new Map<string, number>()
    for (const part of contentOf(value)) counts.set(part, (counts.get(part) ?? 0) + 1)
    return counts
  }
  fc.assert(
    fc.property(changes, ([rule, base, mine, theirs]) => {
      const result = merge(rule, 'cart', copyOf(base), copyOf(mine), copyOf(theirs), tools)
      if (!result.merged) return
      const [merged, one, other, old] = [result.value, mine, theirs, base].map(countsOf)
      for (const part of new Set(
        [merged, one, other, old].flatMap((counts) => [...(counts?.keys() ?? [])]),
      )) {
        const [n = 0, m = 0, k = 0, b = 0] = [merged, one, other, old].map((counts) => counts?.get(part) ?? 0)
        // A member of a Set that both added, or both deleted, counts once.
        if (mine instanceof Set) t.is(n, Math.min(1, Math.max(0, b === 1 ? m + k - b : m + k)))
        else t.is(n, m + k - b)
      }
    }),
    { numRuns: 3_000 },
  )
})

test('disjoint changes of fields and entries come to both of them', (t) => {
  const steps = fc.array(
    fc.record({ key: fc.integer({ min: 0, max: 9 }), value: fc.option(fc.integer()), mine: fc.boolean() }),
  )
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 9 })), steps, (keys, all) => {
      const base = new Map(keys.map((key) => [`k${key}`, key]))
      const owners = new Map<number, boolean>()
      const apply = (map: Map<string, number>, side?: boolean): Map<string, number> => {
        for (const { key, value, mine } of all) {
          if (!owners.has(key)) owners.set(key, mine)
          if (side !== undefined && owners.get(key) !== side) continue
          if (value === null) map.delete(`k${key}`)
          else map.set(`k${key}`, value)
        }
        return map
      }
      const both = apply(new Map(base))
      const [mine, theirs] = [apply(new Map(base), true), apply(new Map(base), false)]
      for (const [rule, kind] of [
        ['items', (map: Map<string, number>): unknown => map],
        ['fields', Object.fromEntries],
      ] as const) {
        const result = mergeChecked(t, rule, copyOf(kind(base)), copyOf(kind(mine)), copyOf(kind(theirs)))
        t.deepEqual(result.merged && contentOf(result.value), contentOf(kind(both)))
      }
    }),
    { numRuns: 500 },
  )
})

test('disjoint changes of an array come to both of them', (t) => {
  /** What happens to an item, and what is inserted before it, and by which side. */
  const item = fc.record({
    change: fc.constantFrom('keep', 'keep', 'delete', 'replace'),
    changedBy: fc.constantFrom('mine', 'theirs'),
    inserts: fc.nat({ max: 2 }),
    insertedBy: fc.constantFrom('mine', 'theirs'),
  })
  fc.assert(
    fc.property(fc.array(item, { maxLength: 12 }), (plan) => {
      const build = (...sides: string[]): string[] =>
        plan.flatMap(({ change, changedBy, inserts, insertedBy }, index) => {
          const before = plan[index - 1]
          const isInside =
            before !== undefined &&
            [before, plan[index]].every((at) => at?.change !== 'keep' && at?.changedBy !== insertedBy)
          const isInserted = sides.includes(insertedBy) && !isInside
          const inserted = isInserted ? Array.from({ length: inserts }, (_, n) => `new ${index} ${n}`) : []
          if (!sides.includes(changedBy) || change === 'keep') return [...inserted, `old ${index}`]
          return change === 'delete' ? inserted : [...inserted, `changed ${index}`]
        })
      const result = mergeChecked(t, 'items', build(), build('mine'), build('theirs'))
      t.deepEqual(result.merged && result.value, build('mine', 'theirs'))
    }),
    { numRuns: 2_000 },
  )
})
