/** A value that is designed to be expensive to write. */
export interface CostlyValue {
  readonly name: string
  readonly make: () => unknown
}

const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, n) => make(n))
const large = 2n ** 16_000n
const shared = { a: 1 }
const long = 'x'.repeat(500_000)

export const costly: readonly CostlyValue[] = [
  { name: 'one large bigint 100,000 times', make: () => times(100_000, () => large) },
  { name: 'one long text 100,000 times', make: () => times(100_000, () => long) },
  { name: '60,000 objects', make: () => times(60_000, () => ({})) },
  { name: '9,000 objects beside a Date', make: () => [new Date(0), times(9_000, (a) => ({ a }))] },
  { name: '9,000 objects before a Date', make: () => [times(9_000, (a) => ({ a })), new Date(0)] },
  { name: '9,000 buffers of a pool', make: () => times(9_000, () => Buffer.from('x')) },
  { name: '9,000 byte arrays of their own', make: () => times(9_000, () => new Uint8Array(1)) },
  {
    name: '9,000 views on one buffer, the last one first',
    make: () => {
      const ring = new ArrayBuffer(9_000)
      return times(9_000, (n) => new Uint8Array(ring, 8_999 - n, 1))
    },
  },
  { name: '900 buffers of 201 bytes', make: () => times(900, () => Buffer.alloc(201)) },
  { name: '650 lists of 201 numbers', make: () => times(650, () => times(201, () => 1)) },
  { name: '190,000 bytes', make: () => Buffer.alloc(190_000) },
  { name: '600,000,000 bytes', make: () => Buffer.alloc(600_000_000) },
  { name: 'a sparse list of 2^32 - 1', make: () => Object.assign([], { length: 2 ** 32 - 1 }) },
  { name: '52,000 holes', make: () => Object.assign([], { length: 52_000 }) },
  {
    name: 'nested 200,000 deep',
    make: () => times(200_000, () => 0).reduce((inner) => [inner], 1 as unknown),
  },
  {
    name: '14,000 names of which one has a backslash',
    make: () => Object.fromEntries([['\\', 1], ...times(14_000, (n) => [`k${n}`, 1] as const)]),
  },
  { name: '60,000 texts of which one has a backslash', make: () => ['\\', ...times(60_000, () => 'a')] },
  { name: 'a text of backslashes', make: () => '\\'.repeat(130_000) },
  { name: 'a text of control characters', make: () => '\u0001'.repeat(43_000) },
  { name: 'a bigint of 20 million digits', make: () => 2n ** 80_000_000n },
  {
    name: '4,900 objects that refer to another one',
    make: () => times(4_900, () => ({})).flatMap((part) => [part, [part]]),
  },
  { name: '50,000 references to one object', make: () => times(50_000, () => shared) },
  {
    name: 'errors with long stacks',
    make: () => times(1_400, () => Object.assign(new Error('x'), { stack: long })),
  },
  { name: '100 RegExps', make: () => times(100, (n) => new RegExp(`${n}${'(a+)+'.repeat(18)}`)) },
  { name: 'a RegExp of a million characters', make: () => new RegExp('a'.repeat(1_000_000)) },
  { name: '1,000 URLs', make: () => times(1_000, (n) => new URL(`https://example.org/${n}`)) },
  {
    name: 'a URL of a million characters',
    make: () => new URL(`https://example.org/${'a'.repeat(1_000_000)}`),
  },
  { name: '1,000 typed arrays of 12 numbers', make: () => times(1_000, () => new Float64Array(12)) },
]
