import {
  Account,
  Dict,
  Matrix,
  Node,
  Point,
  Point3,
  QuotaError,
  registry,
  Stray,
  Tags,
  Vault,
} from './classes.ts'
import type { Field, Recipe } from './recipe.ts'
import { z } from 'zod'

/** A class with arbitrary fields. */
export class Cell {
  [name: string]: unknown
}

/** A class with a schema whose fields may have any type. */
export class Bound {
  left: unknown
  right: unknown
}

/** A class with its own `encode` and `decode`, which holds another value. */
export class Box {
  readonly content: unknown
  constructor(content: unknown) {
    this.content = content
  }
}

registry.registerType(Cell)
registry.registerType(Bound, { schema: z.object({ left: z.unknown(), right: z.unknown() }) })
registry.registerType(Box, { encode: (box) => box.content, decode: (content) => new Box(content) })

type Maker = (bytes: ArrayBuffer, start: number, length: number) => object

function views(
  type: (new (bytes: ArrayBuffer, start: number, length: number) => object) & { readonly name: string },
  size = 1,
): [string, Maker] {
  return [type.name, (bytes, start, length) => new type(bytes, start * size, Math.floor(length / size))]
}

const memory: ReadonlyMap<string, Maker> = new Map<string, Maker>([
  ['Buffer', (bytes, start, length) => Buffer.from(bytes, start, length)],
  ['ArrayBuffer', (bytes, start, length) => bytes.slice(start, start + length)],
  views(Uint8Array),
  views(DataView),
  views(Int8Array),
  views(Uint8ClampedArray),
  views(Int16Array, 2),
  views(Uint16Array, 2),
  views(Int32Array, 4),
  views(Uint32Array, 4),
  views(Float32Array, 4),
  views(Float64Array, 8),
  views(BigInt64Array, 8),
  views(BigUint64Array, 8),
])

/** Values that cannot be stored, some around one that could be. */
const poisons: readonly ((inner: unknown) => unknown)[] = [
  (inner) => () => inner,
  () => Symbol('s'),
  () => Symbol.for('s'),
  (inner) => new Stray(Number(typeof inner)),
  (inner) => new Proxy({ inner }, {}),
  (inner) => new Proxy([inner], {}),
  (inner) => ({
    get inner() {
      return inner
    },
  }),
  (inner) => ({ inner, set other(_: unknown) {} }),
  (inner) => Object.defineProperty([inner], 0, { get: () => inner, enumerable: true, configurable: true }),
  (inner) => Object.defineProperty([inner], 0, { set() {}, enumerable: true, configurable: true }),
  async (inner) => inner,
  (inner) => Object.fromEntries(new Map([['then', () => inner]])),
  () => new WeakMap(),
  () => new WeakRef({}),
  () => [1].values(),
  (inner) => ({ [Symbol('k')]: inner }),
  (inner) => Object.defineProperty({}, 'hidden', { value: inner, enumerable: false }),
  (inner) => Object.assign([1], { extra: inner }),
  (inner) => Object.assign(new Map(), { extra: inner }),
  (inner) => Object.assign(new Date(0), { extra: inner }),
  (inner) => Object.assign(new Uint8Array(1), { extra: inner }),
  (inner) => Object.assign(/x/, { extra: inner }),
  (inner) => Object.defineProperty({}, '__proto__', { value: inner, enumerable: true }),
  () => Object(1),
  () => Object('a'),
  () => Object(1n),
  () => new SharedArrayBuffer(4),
  () => new (class Own extends Map {})(),
  () => new (class Own extends Array {})(),
  () => new (class Own extends Date {})(0),
  () => new (class Own extends Error {})('x'),
  () => new (class Own extends Uint8Array {})(2),
  (inner) => Object.create({ inner }) as unknown,
  (inner) => Object.create(new Proxy({ inner }, {})) as unknown,
  (inner) => ({ toJSON: () => inner }),
  (inner) => Object.assign(new Account(), { balance: inner === 1n ? 1 : typeof inner }),
  (inner) => Object.assign(new Account(), { extra: inner }),
  () => {
    const ring = new ArrayBuffer(8)
    return [new Uint8Array(ring, 0, 4), new Uint16Array(ring, 2, 1)]
  },
  () => {
    const buffer = new ArrayBuffer(8)
    structuredClone(buffer, { transfer: [buffer] })
    return buffer
  },
  () => {
    const pattern = /a/g
    pattern.test('a')
    return pattern
  },
  (inner) => Object.defineProperty(new Error('x'), 'hidden', { value: inner, enumerable: false }),
  () => Point,
  () => globalThis,
  () => new URLSearchParams('a=b'),
  () =>
    new (class {
      readonly a = 1
      static get name(): string {
        throw new Error('no name')
      }
    })(),
]

/** The expected result: `either` if the state that a class's own `encode` returns may contain its own instance. */
export type Fate = 'exact' | 'refused' | 'either'

/** Builds the value of a recipe, and tells the expected result. */
export class Builder {
  fate: Fate = 'exact'
  readonly #made: object[] = []
  #inBox = 0

  build(recipe: Recipe): unknown {
    switch (recipe.kind) {
      case 'scalar':
        return recipe.value
      case 'hole':
        return undefined
      case 'ref': {
        if (this.#made.length === 0) return null
        if (this.#inBox > 0 && this.fate === 'exact') this.fate = 'either'
        return this.#made[recipe.number % this.#made.length]
      }
      case 'object':
        return this.#fill(this.#keep({}), recipe.fields)
      case 'bare':
        return this.#fill(this.#keep(Object.create(null) as object), recipe.fields)
      case 'frozen':
        return Object.freeze(this.#fill(this.#keep({}), recipe.fields))
      case 'list':
        return this.#list(recipe.parts)
      case 'set': {
        const set = this.#keep(new Set<unknown>())
        for (const part of recipe.parts) set.add(this.build(part))
        return set
      }
      case 'tree': {
        const root = this.#keep(new Node())
        for (const part of recipe.parts) Object.assign(root.add(), { value: this.build(part) })
        return root
      }
      case 'map': {
        const map = this.#keep(new Map<unknown, unknown>())
        for (const [key, value] of recipe.entries) {
          const built = this.build(key)
          if (!map.has(built)) map.set(built, this.build(value))
        }
        return map
      }
      case 'poison': {
        const poison = poisons[recipe.type % poisons.length]
        this.fate = 'refused'
        return poison?.(this.build(recipe.inner))
      }
      case 'box': {
        this.#inBox++
        const content = this.#fill(this.#keep({}), recipe.fields)
        this.#inBox--
        return this.#keep(new Box(content))
      }
      case 'cell':
        return this.#fill(this.#keep(new Cell()), recipe.fields)
      case 'bound': {
        const bound = this.#keep(new Bound())
        bound.left = recipe.fields.map(([, part]) => this.build(part))
        bound.right = bound.left
        return bound
      }
      case 'error': {
        const error: Error =
          recipe.type === 'AggregateError'
            ? new AggregateError([this.#keep({ one: 1 })], recipe.text)
            : Reflect.construct(Reflect.get(globalThis, recipe.type) as ErrorConstructor, [recipe.text])
        return this.#fill(this.#keep(error), recipe.fields)
      }
      case 'date':
        return this.#keep(new Date(recipe.number))
      case 'bytes': {
        const bytes = new ArrayBuffer(64)
        new Uint8Array(bytes).set(recipe.bytes)
        const make = memory.get(recipe.type)
        if (make === undefined) throw new Error(`no type ${recipe.type}`)
        return this.#keep(make(bytes, recipe.offset, recipe.bytes.length))
      }
      case 'url':
        return this.#keep(new URL(`https://example.org${recipe.text}`))
      case 'regexp':
        return this.#keep(new RegExp(recipe.source, recipe.flags))
      case 'vault':
        return this.#keep(new Vault(recipe.text))
      case 'tags':
        return this.#keep(new Tags([recipe.text, 'b']))
      case 'dict':
        return this.#keep(new Dict([[recipe.text, 1]]))
      case 'account':
        return this.#keep(new Account(recipe.text, BigInt(recipe.number), new Date(0)))
      case 'matrix':
        return this.#keep(Matrix.from<number>([recipe.number, 2]))
      case 'quota':
        return this.#keep(new QuotaError(recipe.number))
      case 'point':
        return this.#keep(new Point(recipe.number, -0))
      case 'point3':
        return this.#keep(new Point3(recipe.number))
    }
  }

  #keep<T extends object>(object: T): T {
    this.#made.push(object)
    return object
  }

  #fill<T extends object>(object: T, fields: readonly Field[]): T {
    for (const [name, recipe] of fields) {
      const value = this.build(recipe)
      Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true })
    }
    return object
  }

  #list(parts: readonly Recipe[]): unknown[] {
    const list = this.#keep<unknown[]>([])
    for (const [index, part] of parts.entries()) {
      if (part.kind === 'hole') list.length = index + 1
      else list[index] = this.build(part)
    }
    return list
  }
}
