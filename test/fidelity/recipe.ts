import * as fc from 'fast-check'

/**
 * How to make a value: plain data, so that a counterexample can be read and shrunk. `ref` refers to an object made before,
 * which makes shared parts, or to one still being made, which makes cycles.
 */
export type Recipe =
  | { readonly kind: 'scalar'; readonly value: unknown }
  | { readonly kind: 'date' | 'ref'; readonly number: number }
  | { readonly kind: 'object' | 'bare' | 'frozen'; readonly fields: readonly Field[] }
  | { readonly kind: 'list' | 'set' | 'tree'; readonly parts: readonly Recipe[] }
  | { readonly kind: 'map'; readonly entries: readonly (readonly [Recipe, Recipe])[] }
  | { readonly kind: 'hole' }
  | {
      readonly kind: 'bytes'
      readonly type: string
      readonly bytes: readonly number[]
      readonly offset: number
    }
  | { readonly kind: 'url' | 'vault' | 'tags' | 'dict'; readonly text: string }
  | { readonly kind: 'regexp'; readonly source: string; readonly flags: string }
  | {
      readonly kind: 'error'
      readonly type: string
      readonly text: string
      readonly fields: readonly Field[]
    }
  | { readonly kind: 'cell' | 'bound' | 'box'; readonly fields: readonly Field[] }
  | { readonly kind: 'account'; readonly text: string; readonly number: number }
  | { readonly kind: 'matrix' | 'quota' | 'point' | 'point3'; readonly number: number }
  | { readonly kind: 'poison'; readonly type: number; readonly inner: Recipe }

export type Field = readonly [name: string, value: Recipe]

/** Strings with a meaning in JSON, superjson, JavaScript or the encoding. */
const NASTY = [
  '',
  '~',
  '~~',
  '~h',
  '~0',
  '~Map',
  '~Set',
  '~Null',
  '~Error',
  '~r0',
  '~s0',
  '~d0',
  '~n1',
  '~fNaN',
  '~bAA',
  'constructor',
  'prototype',
  'toJSON',
  'then',
  'toString',
  'valueOf',
  'hasOwnProperty',
  '__defineGetter__',
  'length',
  '0',
  '1',
  '-1',
  '4294967295',
  'a.b',
  String.raw`a\.b`,
  String.raw`\u005f_proto__`,
  'json',
  'meta',
  'values',
  'referentialEqualities',
  'undefined',
  'null',
  '\n',
  '\t',
  '"',
  '\\',
  '\0',
  '\u2028',
  '\uD800',
  'e\u0301',
  '🛒',
  'x\n"user" J 1\n',
  'kts1 ',
]

const text = fc.oneof(fc.constantFrom(...NASTY), fc.string({ unit: 'binary', maxLength: 12 }))
const name = text.filter((name) => name !== '__proto__')
/** Additional fields for an instance, with names that its class does not have. */
const fieldName = fc.constantFrom(
  'a',
  'b',
  'label',
  '',
  'a b',
  '~0',
  '~',
  '0',
  '10',
  'é',
  '"',
  '\n',
  '\uDC00',
)
const scalar = fc.oneof(
  text,
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constantFrom<unknown>(null, undefined, -0, 0, NaN, Infinity, -Infinity, 2 ** 53, 5e-324, 0n, -1n),
  fc.bigInt({ min: -(2n ** 300n), max: 2n ** 300n }),
)
const byte = fc.integer({ min: 0, max: 255 })

/** All views and buffers that can be stored, including `Buffer` and `ArrayBuffer`. */
export const memoryTypes: readonly string[] = [
  'Buffer',
  'Uint8Array',
  'ArrayBuffer',
  'DataView',
  'Int8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
]

/** Recipes for all kinds of values; with `poison` some have a part that cannot be stored. */
export function recipes(poison: boolean): fc.Arbitrary<Recipe> {
  const { recipe } = fc.letrec<{
    recipe: Recipe
    leaf: Recipe
    fields: readonly Field[]
    own: readonly Field[]
  }>((tie) => ({
    leaf: fc.oneof(
      { weight: 8, arbitrary: fc.record({ kind: fc.constant('scalar'), value: scalar }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('ref'), number: fc.nat(40) }) },
      fc.record({
        kind: fc.constant('date'),
        number: fc.oneof(fc.constantFrom(NaN, 0, -1, 8.64e15, -8.64e15), fc.integer(), fc.maxSafeNat()),
      }),
      fc.record({
        kind: fc.constant('bytes'),
        type: fc.constantFrom(...memoryTypes),
        bytes: fc.array(byte, { maxLength: 24 }),
        offset: fc.nat(3),
      }),
      fc.record({ kind: fc.constantFrom('vault', 'tags', 'dict'), text }),
      fc.record({ kind: fc.constant('url'), text: fc.webPath() }),
      fc.record({
        kind: fc.constant('regexp'),
        source: fc.constantFrom('a', 'a/b', '^[\\/\\]\\-]+$', '(?:)', '\\d{2}', '\\n', '~'),
        flags: fc.constantFrom('', 'g', 'dgimsuy', 'gi', 'u'),
      }),
      fc.record({ kind: fc.constant('account'), text, number: fc.integer() }),
      fc.record({ kind: fc.constantFrom('matrix', 'quota', 'point', 'point3'), number: fc.integer() }),
    ),
    fields: fc.uniqueArray(fc.tuple(name, tie('recipe')), { selector: ([name]) => name, maxLength: 5 }),
    own: fc.uniqueArray(fc.tuple(fieldName, tie('recipe')), { selector: ([name]) => name, maxLength: 4 }),
    recipe: fc.oneof(
      { maxDepth: 7, depthSize: 'small', withCrossShrink: true },
      tie('leaf'),
      fc.record({ kind: fc.constantFrom('object', 'bare', 'frozen'), fields: tie('fields') }),
      fc.record({
        kind: fc.constantFrom('list', 'set', 'tree'),
        parts: fc.array(
          fc.oneof({ weight: 5, arbitrary: tie('recipe') }, fc.record({ kind: fc.constant('hole') })),
          {
            maxLength: 6,
          },
        ),
      }),
      fc.record({
        kind: fc.constant('map'),
        entries: fc.array(fc.tuple(tie('recipe'), tie('recipe')), { maxLength: 4 }),
      }),
      fc.record({ kind: fc.constantFrom('cell', 'bound', 'box'), fields: tie('own') }),
      fc.record({
        kind: fc.constant('error'),
        type: fc.constantFrom('Error', 'TypeError', 'RangeError', 'SyntaxError', 'AggregateError'),
        text,
        fields: tie('own'),
      }),
      ...(poison
        ? [fc.record({ kind: fc.constant('poison'), type: fc.nat(1_000), inner: tie('recipe') })]
        : []),
    ),
  }))
  return recipe
}
