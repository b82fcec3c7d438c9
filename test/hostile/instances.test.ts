import test from 'ava'
import { z } from 'zod'
import { defaultLimits } from '../../src/codec/limits.ts'
import { ValueCodec } from '../../src/codec/value/value-codec.ts'
import { createRegistry, SessionError, type TypeOptions } from '../../src/index.ts'
import { judge } from './verdict.ts'
import { Canary, codec, Guarded, harm } from './world.ts'

class Plain {
  a: unknown = 1
}
class Other {
  a: unknown = 1
}

function codecWith(options: TypeOptions<Plain>): ValueCodec {
  const registry = createRegistry()
  registry.registerType(Plain, options)
  registry.registerType(Other)
  return new ValueCodec(registry, defaultLimits)
}

test('decoding 3: an instance of a class with a schema has the declared fields, of the declared types, and no other', (t) => {
  const before = harm.constructed
  const fit = codec.decode('T [["Guarded",1,["name","level"]]]\t["~0","ann",1]', 'key')
  t.true(fit instanceof Guarded)
  for (const line of [
    'T [["Guarded",1,["name","level","isAdmin"]]]\t["~0","ann",1,true]',
    'T [["Guarded",1,["name","isAdmin"]]]\t["~0","ann",true]',
    'T [["Guarded",1,["name"]]]\t["~0","ann"]',
    'T [["Guarded",1,["level","name"]]]\t["~0","ann",1]',
    'T [["Guarded",1,["name","level"]]]\t["~0","ann","1"]',
    'T [["Guarded",1,["name","level"]]]\t["~0","ann","~n1"]',
    'T [["Guarded",1,["name","level"]]]\t["~0","ann","~"]',
    'T [["Guarded",1,["name","level"]]]\t["~0",{"toString":"ann"},1]',
    'T [["Guarded",1,["constructor","level"]]]\t["~0","ann",1]',
    'S \t[["Guarded",1,["name","level"]]]\t["~0","~r0",1]',
  ]) {
    t.is(judge(line), 'error', line)
  }
  t.is(harm.constructed, before)
})

test('decoding 3: an instance of a class without a schema has no field that hides a method or accessor', (t) => {
  for (const name of ['isAdmin', 'role', 'promote', 'constructor', 'toString', 'hasOwnProperty'])
    t.is(judge(`T [["Canary",1,["name","${name}"]]]\t["~0","ann",true]`), 'error', name)
  t.is(judge('T [["Canary",1,["name","anything"]]]\t["~0","ann",true]'), 'value')
})

test('decoding 3: swapping the class name for one with as many fields gives an instance of that class, or an error', (t) => {
  const line = codec.encode({ canary: new Canary() }, 'key')
  t.is(judge(line.replace('"Canary"', '"Guarded"')), 'value')
  const fields: unknown = codec.decode(line.replace('"Canary"', '"Guarded"'), 'key')
  t.true(Reflect.get(fields as object, 'canary') instanceof Guarded)
  t.is(judge(line.replace('"Canary"', '"Point"')), 'value')
  t.is(judge(line.replace('"Canary"', '"Wallet"')), 'error')
  t.is(judge(line.replace('"Canary"', '"Account"')), 'error')
})

test('decoding 3: an error thrown by `decode` or `upgrade` becomes the cause of an ERR_SESSION_DECODE', (t) => {
  const cause = new RangeError('no')
  const fail = (): never => {
    throw cause
  }
  const line = 'T [["Plain",1,null]]\t["~0",1]'
  const failing = [
    [codecWith({ encode: () => 1, decode: fail }), line],
    [codecWith({ encode: () => 1, decode: () => new Plain(), version: 2, upgrade: fail }), line],
    [codecWith({ version: 2, upgrade: fail }), 'T [["Plain",1,["a"]]]\t["~0",1]'],
    [codecWith({ version: 2, upgrade: fail }), 'S \t[["Plain",1,["a"]]]\t[["~0",1],"~r1"]'],
  ] as const
  for (const [codec, text] of failing) {
    const error = t.throws(() => codec.decode(text, 'key'), {
      instanceOf: SessionError,
      code: 'ERR_SESSION_DECODE',
    })
    t.is(error.cause, cause)
  }
})

test('decoding 3: even a thrown `undefined` or a thrown session value is an ERR_SESSION_DECODE', (t) => {
  for (const thrown of [undefined, null, 'text', [new Error('x')], Symbol('s')]) {
    const throwing = codecWith({
      encode: () => 1,
      decode: () => {
        throw thrown
      },
    })
    t.throws(() => throwing.decode('T [["Plain",1,null]]\t["~0",1]', 'key'), { code: 'ERR_SESSION_DECODE' })
  }
})

test('decoding 3: `decode` must return an instance of exactly its class', (t) => {
  class Sub extends Plain {}
  const results: unknown[] = [
    undefined,
    null,
    1,
    'x',
    {},
    [],
    new Other(),
    new Sub(),
    Plain,
    Plain.prototype,
    Object.create(null),
  ]
  for (const result of results) {
    // A program can return values that the types do not allow.
    const careless = codecWith({ encode: () => 1, decode: () => result as Plain })
    t.throws(() => careless.decode('T [["Plain",1,null]]\t["~0",1]', 'key'), { code: 'ERR_SESSION_DECODE' })
  }
  const asynchronous = codecWith({
    encode: () => 1,
    decode: (async () => new Plain()) as unknown as () => Plain,
  })
  t.throws(() => asynchronous.decode('T [["Plain",1,null]]\t["~0",1]', 'key'), { code: 'ERR_SESSION_DECODE' })
})

test('decoding 3: `upgrade` must return fields that the class may have', (t) => {
  const line = 'T [["Plain",1,["a"]]]\t["~0",1]'
  const proto = JSON.parse('{"__proto__":{"admin":true}}') as Record<string, unknown>
  for (const result of [undefined, null, 1, 'x', [], async () => ({}), proto]) {
    const careless = codecWith({ version: 2, upgrade: () => result as Record<string, unknown> })
    t.throws(() => careless.decode(line, 'key'), { code: 'ERR_SESSION_DECODE' }, typeof result)
  }
  const thenable = Object.fromEntries(new Map([['then', () => 1]]))
  t.throws(() => codecWith({ version: 2, upgrade: () => thenable }).decode(line, 'key'), {
    code: 'ERR_SESSION_DECODE',
  })
  const declared = codecWith({
    schema: z.object({ a: z.int() }),
    version: 2,
    upgrade: () => ({ a: 1, b: 2 }),
  })
  t.throws(() => declared.decode(line, 'key'), { code: 'ERR_SESSION_DECODE' })
})

test('decoding 3: a schema that throws or is asynchronous is an ERR_SESSION_DECODE', (t) => {
  const throwing = z.unknown().refine(() => {
    throw new TypeError('no')
  })
  for (const schema of [z.object({ a: throwing }), z.object({ a: z.unknown().refine(async () => true) })])
    t.throws(() => codecWith({ schema }).decode('T [["Plain",1,["a"]]]\t["~0",1]', 'key'), {
      code: 'ERR_SESSION_DECODE',
    })
})

test('decoding 5: the state of an instance cannot refer to the instance that `decode` has yet to create', (t) => {
  for (const tree of [
    '["~0","~r0"]',
    '[["~0",["~r1"]]]',
    '["~0",{"a":["~0","~r0"]}]',
    '["~0",["~Map","~r0",1]]',
  ])
    t.is(judge(`S \t[["Wallet",1,null]]\t${tree}`), 'error', tree)
  t.is(judge('S \t[["Wallet",1,null]]\t[["~0",{"coins":[]}],"~r1"]'), 'value')
})
