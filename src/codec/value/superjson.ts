import { types } from 'node:util'
import { SuperJSON } from 'superjson'
import { SessionError } from '../../errors.ts'
import { viewTypes } from './builtins.ts'
import { isRecord } from './fields.ts'
import { countKeys } from './own-properties.ts'
import { damaged, readBase64 } from './tokens.ts'

/** What superjson makes of a list of leaves: their JSON, and how each was annotated. */
type Written = ReturnType<SuperJSON['serialize']>

const LONGEST_PATTERN = 1_000
const LONGEST_URL = 8_192
const FLAGS_AND_SLASHES = 10
const FLAGS = /^[dgimsuvy]{0,8}$/
const MOST = 2_000

const superjson = new SuperJSON()

/** What superjson would write with NaN or -0 lost, or not at all. */
superjson.registerCustom<ArrayBufferView | ArrayBuffer, string[]>(
  {
    isApplicable: (value): value is ArrayBufferView | ArrayBuffer =>
      ArrayBuffer.isView(value) || types.isArrayBuffer(value),
    serialize: writeMemory,
    deserialize: readMemory,
  },
  'memory',
)

/** Why an object with the prototype of a leaf cannot be kept, if so. */
export function whyNoLeaf(value: object): string | undefined {
  if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)) return undefined
  if (types.isRegExp(value)) {
    if (countKeys(value) > 1) return 'named properties on it cannot be kept'
    if (value.lastIndex !== 0) return 'a RegExp in use (its `lastIndex`) cannot be kept'
    const isLong = value.source.length > LONGEST_PATTERN - FLAGS_AND_SLASHES
    return isLong ? 'a RegExp as long as this cannot be kept' : undefined
  }
  if (!isUrl(value)) return 'it has the prototype of a built-in class, but is of none'
  if (countKeys(value) > 0) return 'named properties on it cannot be kept'
  return value.href.length > LONGEST_URL ? 'a URL as long as this cannot be kept' : undefined
}

function isUrl(value: object): value is URL {
  if (Object.getPrototypeOf(value) !== URL.prototype) return false
  try {
    return URL.prototype.toString.call(value) !== ''
  } catch {
    return false
  }
}

/**
 * Writes the values of built-in classes that have no token in our own grammar: URL, RegExp, views and buffers. superjson
 * gets them as one flat list, never as the graph they stand in, so its paths are positions and it patches nothing.
 */
export function writeLeaves(leaves: readonly object[]): unknown {
  if (leaves.length > MOST) throw new SessionError('ERR_SESSION_LIMIT', `more than ${MOST} URLs and the like`)
  return superjson.serialize(leaves)
}

/** Reads what {@link writeLeaves} wrote, after a look at each annotation: the text may be forged. */
export function readLeaves(written: unknown): readonly unknown[] {
  if (written === undefined) return []
  if (!isWritten(written)) throw damaged()
  // It was just looked at: a list, and for each member one annotation that we write.
  return superjson.deserialize(written)
}

function isWritten(written: unknown): written is Written {
  if (!isRecord(written) || !isRecord(written['meta']) || !isRecord(written['meta']['values'])) return false
  const { json, meta } = written
  const { values } = written['meta']
  if (
    Object.keys(written).length !== 2 ||
    !isRecord(meta) ||
    Object.keys(meta).length !== 2 ||
    meta['v'] !== 1
  )
    return false
  if (!Array.isArray(json) || json.length === 0 || json.length > MOST) return false
  if (Object.keys(values).length !== json.length) return false
  return json.every((leaf: unknown, index) => isAnnotated(leaf, values[index]))
}

function isAnnotated(leaf: unknown, annotation: unknown): boolean {
  switch (JSON.stringify(annotation)) {
    case '["URL"]':
      return typeof leaf === 'string' && leaf.length <= LONGEST_URL
    case '["regexp"]':
      return (
        typeof leaf === 'string' &&
        leaf.length <= LONGEST_PATTERN &&
        leaf.startsWith('/') &&
        FLAGS.test(leaf.slice(leaf.lastIndexOf('/') + 1))
      )
    case '[["custom","memory"]]':
      return Array.isArray(leaf) && leaf.length === 2 && leaf.every((part) => typeof part === 'string')
    default:
      return false
  }
}

function writeMemory(value: ArrayBufferView | ArrayBuffer): string[] {
  const bytes = ArrayBuffer.isView(value)
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    : Buffer.from(value)
  return [Object.getPrototypeOf(value).constructor.name, bytes.toString('base64url')]
}

function readMemory([name = '', text = '']: string[]): ArrayBufferView | ArrayBuffer {
  const bytes = Uint8Array.from(readBase64(text))
  if (name === 'ArrayBuffer') return bytes.buffer
  const type = viewTypes.get(name)
  if (type !== undefined) return new type(bytes.buffer)
  throw damaged()
}
