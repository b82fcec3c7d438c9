import { GobError, GobReader } from './reader.ts'
import {
  BOOL,
  BYTES,
  COMPLEX,
  FIRST_ID,
  FLOAT,
  INT,
  INTERFACE,
  readFields,
  readType,
  STRING,
  UINT,
  type GobType,
} from './types.ts'

/** Makes the value of a registered Go type from its fields; for a type that is no struct, from its value. */
export type GobMapper = (value: never) => unknown

/** The longest gob that is read. */
const MAX_BYTES = 1_048_576
/** A value of any type counts twice: as such, and as what it is. */
const MAX_DEPTH = 200
const MAX_TYPES = 1_000
/** How many values there may be. */
const MAX_VALUES = 50_000

/** The names under which Go knows its own types, and slices and maps of them. They need no mapper. */
const BUILTIN =
  /^(?:\[\d*\]|\*|map\[(?:\w+|interface \{\})\])*(?:u?int(?:8|16|32|64|ptr)?|float(?:32|64)|string|bool|interface \{\}|time\.Time)$/
/** The name of `time.Time`, without its package. */
const TIME = 'Time'
const LONGEST_NAME = 1_000

/** How a Go type reads where it has no value, since gob leaves such fields out. */
const ZEROS: ReadonlyMap<number, unknown> = new Map<number, unknown>([
  [BOOL, false],
  [INT, 0],
  [UINT, 0],
  [FLOAT, 0],
  [STRING, ''],
])

/**
 * Decodes the map that beego stores: Go's `map[interface{}]interface{}` in the format of encoding/gob.
 *
 * Integers become numbers, or bigints where they are larger than a number can hold exactly; `[]byte` becomes a `Uint8Array`, `time.Time` a `Date`. Maps with
 * text as keys become objects, others a `Map`. Structs are handed to the `mappers`, by the name under which Go's program registered them.
 *
 * Takes time in proportion to the length, whatever the bytes are.
 *
 * @throws GobError if it is no gob, or a struct has no mapper
 */
export function decodeGob(
  bytes: Uint8Array,
  mappers: ReadonlyMap<string, GobMapper>,
): ReadonlyMap<unknown, unknown> {
  if (bytes.length > MAX_BYTES) throw new GobError('it is longer than 1 MiB')
  return new Decoder(bytes, mappers).run()
}

class Decoder {
  readonly #reader: GobReader
  readonly #mappers: ReadonlyMap<string, GobMapper>
  readonly #types = new Map<number, GobType>()
  #values = 0

  constructor(bytes: Uint8Array, mappers: ReadonlyMap<string, GobMapper>) {
    this.#reader = new GobReader(bytes)
    this.#mappers = mappers
  }

  run(): ReadonlyMap<unknown, unknown> {
    // The length of a message says nothing that its content does not.
    this.#reader.small()
    const id = this.#typeId()
    const type = this.#types.get(id)
    if (type?.kind !== 'map') throw new GobError('it is no map')
    this.#expectZero()
    const map = this.#entries(type, 0)
    if (this.#reader.left > 0) throw new GobError('something follows after its end')
    return map
  }

  /** The ID of the type of the next value, after the descriptions of types that precede it. */
  #typeId(): number {
    for (;;) {
      const id = this.#reader.smallInt()
      if (id >= 0) return id
      if (-id < FIRST_ID || this.#types.has(-id)) throw new GobError('a type is described twice')
      if (this.#types.size === MAX_TYPES) throw new GobError('there are too many types')
      this.#types.set(-id, readType(this.#reader))
      this.#reader.small() // the length of what follows
    }
  }

  #value(id: number, depth: number): unknown {
    const reader = this.#reader
    this.#values += 1
    if (this.#values > MAX_VALUES) throw new GobError('there are too many values')
    if (depth > MAX_DEPTH) throw new GobError('it is nested too deeply')
    switch (id) {
      case BOOL:
        return reader.small() !== 0
      case INT:
        return reader.int()
      case UINT:
        return reader.uint()
      case FLOAT:
        return reader.float()
      case BYTES:
        return new Uint8Array(reader.bytes(reader.small()))
      case STRING:
        return reader.text()
      case COMPLEX:
        throw new GobError('it holds a complex number')
      case INTERFACE:
        return this.#interface(depth)
      default:
        return this.#composite(id, depth)
    }
  }

  #composite(id: number, depth: number): unknown {
    const type = this.#types.get(id)
    if (type === undefined) throw new GobError('a type is not described')
    if (type.kind === 'struct') return this.#struct(type, depth)
    if (type.kind === 'opaque') return opaque(type.name, this.#reader.bytes(this.#reader.small()))
    if (type.kind === 'map') {
      const map = this.#entries(type, depth)
      return type.key === STRING ? Object.fromEntries(map) : map
    }
    const values: unknown[] = []
    for (let left = this.#reader.count(); left > 0; left -= 1)
      values.push(this.#value(type.element, depth + 1))
    return values
  }

  #entries({ key, element }: GobType & { readonly kind: 'map' }, depth: number): Map<unknown, unknown> {
    const count = this.#reader.count()
    const map = new Map<unknown, unknown>()
    for (let at = 0; at < count; at += 1)
      map.set(this.#value(key, depth + 1), this.#value(element, depth + 1))
    return map
  }

  #struct({ fields }: GobType & { readonly kind: 'struct' }, depth: number): Record<string, unknown> {
    this.#values += fields.length
    const values = new Map(
      fields.flatMap(({ name, type }) => (ZEROS.has(type) ? [[name, ZEROS.get(type)] as const] : [])),
    )
    readFields(this.#reader, (at) => {
      const field = fields[at]
      if (field === undefined) throw new GobError('a struct has a field that is not described')
      values.set(field.name, this.#value(field.type, depth + 1))
    })
    return Object.fromEntries(values)
  }

  /** A value with its type: the name of that, its ID, how long the value is, and the value. `nil` has no name. */
  #interface(depth: number): unknown {
    const reader = this.#reader
    const name = reader.text()
    if (name === '') return null
    const id = this.#typeId()
    reader.small()
    const type = this.#types.get(id)
    // A value that is no struct stands where a struct has its fields, after a 0.
    if (type?.kind !== 'struct') this.#expectZero()
    const value = this.#value(id, depth + 1)
    if (name.length > LONGEST_NAME) throw new GobError('the name of a type is too long')
    return BUILTIN.test(name) ? value : this.#mapped(name, value)
  }

  /** A program registers a struct, a pointer to it, or a slice of either. */
  #mapped(name: string, value: unknown): unknown {
    const mapper = this.#mappers.get(name)
    if (mapper !== undefined) return mapper(value as never) // what it takes, its author knows
    if (name.startsWith('*')) return this.#mapped(name.slice(1), value)
    if (name.startsWith('[]') && Array.isArray(value))
      return value.map((each) => this.#mapped(name.slice(2), each))
    throw new UnmappedTypeError(name)
  }

  #expectZero(): void {
    if (this.#reader.small() !== 0) throw new GobError('a value does not begin where it should')
  }
}

/** A Go type has no mapper. */
export class UnmappedTypeError extends GobError {
  /** The name under which Go's program has registered the type, if that looks like one. */
  readonly type: string | undefined

  constructor(name: string) {
    super('a type has no mapper')
    this.type = /^[\w./-]{1,100}$/.test(name) ? name : undefined
  }
}

/** What a type has made of itself: a `Date` for `time.Time`, the bytes for others, which only a mapper can read. */
function opaque(name: string, bytes: Buffer): Date | Uint8Array {
  return name === TIME ? timeOf(bytes) : new Uint8Array(bytes)
}

/** Seconds from the year 1 to 1970. */
const TO_1970 = 62_135_596_800n

/** `time.Time` as it marshals itself: a version, the seconds since the year 1, the nanoseconds, and the minutes of its time zone. */
function timeOf(bytes: Buffer): Date {
  const isTime = (bytes[0] === 1 && bytes.length === 15) || (bytes[0] === 2 && bytes.length === 16)
  if (!isTime) throw new GobError('a time is not one')
  const seconds = bytes.readBigInt64BE(1) - TO_1970
  const date = new Date(Number(seconds) * 1000 + Math.floor(bytes.readInt32BE(9) / 1_000_000))
  if (Number.isNaN(date.getTime())) throw new GobError('a time is out of range')
  return date
}
