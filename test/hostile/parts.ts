/** A part of a list in a stored value, of which a text may have as many as fit. */
export interface Part {
  readonly name: string
  readonly make: (index: number) => string
  /** How many objects it is. */
  readonly nodes: number
  /** How often a value may have it. */
  readonly most?: number
}

const name = (index: number): string => index.toString(36)
const encoded = (text: string): string => `~${Buffer.from(text, 'utf16le').toString('base64url')}`

/** What hostile texts are made of: the search of `bench:hostile` mixes them. */
export const parts: readonly Part[] = [
  { name: 'numbers', make: () => '1', nodes: 0 },
  { name: 'fractions', make: (n) => `0.${12_345_678_901_234 + n}`, nodes: 0 },
  { name: 'short texts', make: (n) => `"${name(n)}"`, nodes: 0 },
  { name: 'texts with a backslash', make: (n) => `"\\n${name(n)}"`, nodes: 0 },
  { name: 'undefined', make: () => '"~"', nodes: 0 },
  { name: 'holes', make: () => '"~h"', nodes: 0 },
  { name: 'bigints', make: (n) => `"~n${(n + 1).toString(16)}"`, nodes: 0 },
  { name: 'bigints of 14 digits', make: () => '"~nffffffffffffff"', nodes: 0 },
  { name: 'dates', make: (n) => `"~d${n}"`, nodes: 1 },
  { name: 'buffers', make: () => '"~bAA"', nodes: 1 },
  { name: 'byte arrays', make: () => '"~uAA"', nodes: 1 },
  { name: 'byte arrays of 66 bytes', make: () => `"~u${'A'.repeat(88)}"`, nodes: 1 },
  { name: 'references', make: () => '"~r0"', nodes: 0 },
  { name: 'empty lists', make: () => '[]', nodes: 1 },
  { name: 'nested lists', make: () => '[[[[[[[[1]]]]]]]]', nodes: 8 },
  { name: 'empty objects', make: () => '{}', nodes: 1 },
  { name: 'objects of one kind', make: () => '{"a":1,"b":"~"}', nodes: 1 },
  { name: 'objects with a name of their own', make: (n) => `{"${name(n)}a":1}`, nodes: 1 },
  {
    name: 'objects with two names of their own',
    make: (n) => `{"${name(n)}a":1,"${name(n)}b":"~"}`,
    nodes: 1,
  },
  {
    name: 'objects of twenty names of their own',
    make: (n) => `{${Array.from({ length: 20 }, (_, field) => `"${name(n)}_${field}":1`).join(',')}}`,
    nodes: 1,
  },
  {
    name: 'objects of two thousand names',
    make: (n) =>
      `{${Array.from({ length: 2_000 }, (_, field) => `"${name(n * 2_000 + field)}a":1`).join(',')}}`,
    nodes: 1,
  },
  {
    name: 'objects of two thousand names and an encoded one',
    make: (n) =>
      `{${Array.from({ length: 2_000 }, (_, field) => `"${name(n * 2_000 + field)}a":1`).join(',')},"${encoded('\n')}":1}`,
    nodes: 1,
  },
  { name: 'objects with integer names', make: (n) => `{"${n * 99_991}":1}`, nodes: 1 },
  { name: 'objects without a prototype', make: (n) => `["~Null",{"${name(n)}":1}]`, nodes: 1 },
  {
    name: 'objects with an encoded name',
    make: (n) => `{"${encoded(`\n${name(n)}`)}":1}`,
    nodes: 1,
    most: 2_000,
  },
  { name: 'empty Sets', make: () => '["~Set"]', nodes: 1 },
  { name: 'Maps', make: (n) => `["~Map","${name(n)}",{}]`, nodes: 2 },
  {
    name: 'Sets of a thousand texts',
    make: (n) =>
      `["~Set",${Array.from({ length: 1_000 }, (_, member) => `"${name(n * 1_000 + member)}"`).join(',')}]`,
    nodes: 1,
  },
  {
    name: 'Sets of a thousand objects',
    make: () => `["~Set",${Array.from({ length: 1_000 }, () => '{}').join(',')}]`,
    nodes: 1_001,
  },
  {
    name: 'Sets of a hundred numbers',
    make: (n) => `["~Set",${Array.from({ length: 100 }, (_, member) => n + member * 65_536).join(',')}]`,
    nodes: 1,
    most: 30,
  },
  { name: 'instances', make: () => '["~0","a"]', nodes: 1 },
  { name: 'errors', make: () => '["~Error","Error",{},{}]', nodes: 1, most: 3_000 },
  {
    name: 'aggregate errors',
    make: () => '["~Error","AggregateError",{"errors":[]},{}]',
    nodes: 2,
    most: 3_000,
  },
  {
    name: 'errors with a field',
    make: (n) => `["~Error","Error",{"message":"m"},{"${name(n)}":1}]`,
    nodes: 1,
    most: 1_500,
  },
]
