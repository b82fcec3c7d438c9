import { GobError, type GobReader } from './reader.ts'

/** A type that a gob describes, by the IDs of the types that it is made of. */
export type GobType =
  | { readonly kind: 'array' | 'slice'; readonly element: number }
  | { readonly kind: 'map'; readonly key: number; readonly element: number }
  | { readonly kind: 'struct'; readonly fields: readonly GobField[] }
  /** A type that has made bytes of itself, with its name without the package. */
  | { readonly kind: 'opaque'; readonly name: string }

export interface GobField {
  readonly name: string
  readonly type: number
}

/** The IDs of the types that need no description. */
export const BOOL = 1
export const INT = 2
export const UINT = 3
export const FLOAT = 4
export const BYTES = 5
export const STRING = 6
export const COMPLEX = 7
export const INTERFACE = 8
/** Types that a gob describes have IDs from here on. */
export const FIRST_ID = 64

const MAX_FIELDS = 1_000

/** Reads the description of a type: Go's struct `wireType`, in which one field is set. */
export function readType(reader: GobReader): GobType {
  let type: GobType | undefined
  readFields(reader, (field) => {
    switch (field) {
      case 0:
      case 1:
        type = { kind: field === 0 ? 'array' : 'slice', element: readSequence(reader) }
        break
      case 2:
        type = { kind: 'struct', fields: readStruct(reader) }
        break
      case 3:
        type = { kind: 'map', ...readMap(reader) }
        break
      case 4:
      case 5:
      case 6:
        type = { kind: 'opaque', name: readNamed(reader) }
        break
      default:
        throw new GobError('a type is of an unknown kind')
    }
  })
  if (type === undefined) throw new GobError('a type is described by nothing')
  return type
}

/**
 * Reads a struct: before each field stands by how much its number is higher than the one before, and a 0 ends it.
 *
 * @param read reads the field with this number, from 0 on
 */
export function readFields(reader: GobReader, read: (field: number) => void): void {
  let field = -1
  for (;;) {
    const step = reader.small()
    if (step === 0) return
    field += step
    if (field > MAX_FIELDS) throw new GobError('a struct has too many fields')
    read(field)
  }
}

/** `commonType`: a name and an ID. Returns the name. */
function readCommon(reader: GobReader): string {
  let name = ''
  readFields(reader, (field) => {
    if (field === 0) name = reader.text()
    else if (field === 1) reader.int()
    else throw unknownField()
  })
  return name
}

function readSequence(reader: GobReader): number {
  let element = 0
  readFields(reader, (field) => {
    if (field === 0) readCommon(reader)
    else if (field === 1) element = reader.smallInt()
    else if (field === 2) reader.int() // the length of an array
    else throw unknownField()
  })
  return element
}

function readMap(reader: GobReader): { readonly key: number; readonly element: number } {
  let [key, element] = [0, 0]
  readFields(reader, (field) => {
    if (field === 0) readCommon(reader)
    else if (field === 1) key = reader.smallInt()
    else if (field === 2) element = reader.smallInt()
    else throw unknownField()
  })
  return { key, element }
}

function readStruct(reader: GobReader): readonly GobField[] {
  const fields: GobField[] = []
  readFields(reader, (field) => {
    if (field === 0) readCommon(reader)
    else if (field === 1) {
      const count = reader.count()
      if (count > MAX_FIELDS) throw new GobError('a struct has too many fields')
      for (let at = 0; at < count; at += 1) fields.push(readField(reader))
    } else throw unknownField()
  })
  return fields
}

function readField(reader: GobReader): GobField {
  let [name, type] = ['', 0]
  readFields(reader, (field) => {
    if (field === 0) name = reader.text()
    else if (field === 1) type = reader.smallInt()
    else throw unknownField()
  })
  return { name, type }
}

function readNamed(reader: GobReader): string {
  let name = ''
  readFields(reader, (field) => {
    if (field !== 0) throw unknownField()
    name = readCommon(reader)
  })
  return name
}

function unknownField(): GobError {
  return new GobError('the description of a type has an unknown field')
}
