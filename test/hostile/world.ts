import { z } from 'zod'
import { defaultLimits } from '../../src/codec/limits.ts'
import { ValueCodec } from '../../src/codec/value/value-codec.ts'
import { registry } from '../fidelity/classes.ts'
import { kinds } from '../fidelity/kinds.ts'

/** Counts what an attacker must not achieve. */
export const harm = { constructed: 0, called: 0 }

/** A class that counts when its constructor, its setter or its method runs. */
export class Canary {
  declare static admins: number
  name = 'ann'
  level = 1
  constructor() {
    harm.constructed++
  }
  get isAdmin(): boolean {
    return false
  }
  set role(_: unknown) {
    harm.called++
  }
  promote(): void {
    harm.called++
  }
}

/** A class with as many fields as Canary, validated by a schema. */
export class Guarded {
  name: string
  level: number
  constructor(name: string, level: number) {
    harm.constructed++
    this.name = name
    this.level = level
  }
  get isAdmin(): boolean {
    return this.level > 9
  }
}

/** A class with its own `encode` and `decode`, which do not validate anything, like many in practice. */
export class Wallet {
  readonly coins: readonly bigint[]
  constructor(coins: readonly bigint[]) {
    this.coins = coins
  }
  static of(...coins: bigint[]): Wallet {
    return new Wallet(coins)
  }
  static encode({ coins }: Wallet): unknown {
    return { coins }
  }
  static decode(plain: unknown): Wallet {
    const { coins } = plain as { coins: unknown[] } // not validated, on purpose
    return new Wallet(coins.map((coin) => BigInt(String(coin))))
  }
}

registry.registerType(Canary)
registry.registerType(Guarded, { schema: z.object({ name: z.string(), level: z.int() }) })
registry.registerType(Wallet, { encode: Wallet.encode, decode: Wallet.decode })

export { registry }
export const codec: ValueCodec = new ValueCodec(registry, defaultLimits)

const classes: readonly object[] = [
  Object,
  Array,
  Function,
  Map,
  Set,
  Date,
  RegExp,
  URL,
  Error,
  TypeError,
  AggregateError,
  Promise,
  Uint8Array,
  Buffer,
  ArrayBuffer,
  DataView,
  String,
  Number,
  BigInt,
  Boolean,
  JSON,
  Reflect,
  Canary,
  Guarded,
  Wallet,
]

/** All objects that a forged name could reach: classes and their prototypes. */
const realm: readonly object[] = classes.flatMap((type): object[] => {
  const prototype: unknown = 'prototype' in type ? type.prototype : undefined
  return typeof prototype === 'object' && prototype !== null ? [type, prototype] : [type]
})

interface Known {
  readonly object: object
  readonly prototype: unknown
  readonly fields: readonly (readonly [string | symbol, PropertyDescriptor | undefined])[]
}

const known: readonly Known[] = realm.map((object) => ({
  object,
  prototype: Object.getPrototypeOf(object),
  fields: Reflect.ownKeys(object)
    .filter(
      (name) =>
        !(object === RegExp && typeof name === 'string' && /^(?:\$|input|last|left|right)/.test(name)),
    )
    .map((name) => [name, Reflect.getOwnPropertyDescriptor(object, name)]),
}))

const nearest = new Set<unknown>(
  [Object, Array, Function, Map, Set, Date, Canary, Guarded, Wallet].flatMap((type) => [
    type,
    type.prototype,
  ]),
)
const near = known.filter(({ object }) => nearest.has(object) && object !== Object && object !== Function)

/**
 * What has changed in the language and the registered classes since the test began; `undefined` if nothing has.
 * With `nearby` it checks fewer objects, because some tests call it for thousands of texts.
 */
export function pollution(nearby = false): string | undefined {
  if (harm.called > 0) return 'a method or setter was called'
  for (const { object, prototype, fields } of nearby ? near : known) {
    const name = typeof object === 'function' ? object.name : `${object.constructor.name}.prototype`
    if (Object.getPrototypeOf(object) !== prototype) return `${name} has another prototype`
    const count = Reflect.ownKeys(object).length
    if (object !== RegExp && count !== fields.length) return `${name} has ${count} properties`
    for (const [field, before] of fields) {
      const after = Reflect.getOwnPropertyDescriptor(object, field)
      if (!Object.is(after?.value, before?.value) || after?.get !== before?.get || after?.set !== before?.set)
        return `${name} has another ${String(field)}`
    }
  }
  return undefined
}

/** Values of every kind that can be stored, small enough to be damaged thousands of times. */
export function values(): [name: string, value: unknown][] {
  const own: [string, unknown][] = [
    ['canaries', [new Canary(), new Canary()]],
    ['guarded', { a: new Guarded('bob', 3), b: [new Guarded('eve', 4)] }],
    ['wallet', new Map([[Wallet.of(1n, 2n), Wallet.of()]])],
    ['error', Object.assign(new TypeError('no', { cause: [1n] }), { code: 'E' })],
    [
      'mixed',
      {
        d: new Date(5),
        m: new Map([[{ k: 1 }, Object.assign([undefined], { 3: -0 })]]),
        n: Object.assign(Object.create(null), { x: 1n }),
      },
    ],
    [
      'leaves',
      [
        new URL('https://example.org/a?b'),
        /a+/gi,
        new Float32Array([1, NaN]),
        new DataView(new ArrayBuffer(3), 1),
      ],
    ],
  ]
  const all = [
    ...kinds.filter(([, , fate]) => fate === 'exact').map(([name, make]) => [name, make()] as const),
    ...own,
  ]
  return all
    .filter(([name, value]) => codec.encode(value, name).length < 2_000)
    .map(([name, value]) => [name, value])
}
