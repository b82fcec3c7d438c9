import { types } from 'node:util'
import { SuperJSON } from 'superjson'
import { SessionError } from '../../errors.ts'
import { viewTypes } from './builtins.ts'
import { countKeys } from './own-properties.ts'
import { isRecord } from './safe-parse.ts'
import { damaged, readBase64 } from './tokens.ts'

/** The output of superjson for a list of leaves: their JSON, and an annotation for each. */
type Written = ReturnType<SuperJSON['serialize']>

const MAX_PATTERN_LENGTH = 1_000
const MAX_URL_LENGTH = 8_192
const FLAGS_AND_SLASHES = 10
const FLAGS = /^[dgimsuvy]{0,8}$/
const MAX_LEAVES = 2_000

const superjson = new SuperJSON()

/** superjson itself loses NaN and -0 in typed arrays, and does not support DataView and ArrayBuffer. */
superjson.registerCustom<ArrayBufferView | ArrayBuffer, string[]>(
  {
    isApplicable: (value): value is ArrayBufferView | ArrayBuffer =>
      ArrayBuffer.isView(value) || types.isArrayBuffer(value),
    serialize: writeMemory,
    deserialize: readMemory,
  },
  'memory',
)

/** Why an object with the prototype of a leaf cannot be stored; `undefined` if it can. */
export function whyNoLeaf(value: object): string | undefined {
  if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)) return undefined
  if (types.isRegExp(value)) {
    if (countKeys(value) > 1) return 'named properties on it cannot be stored'
    if (value.lastIndex !== 0) return 'a RegExp whose `lastIndex` is not 0 cannot be stored'
    const isLong = value.source.length > MAX_PATTERN_LENGTH - FLAGS_AND_SLASHES
    return isLong ? 'a RegExp of this length cannot be stored' : undefined
  }
  if (!isUrl(value)) return 'it has the prototype of a built-in class, but is not an instance of it'
  if (countKeys(value) > 0) return 'named properties on it cannot be stored'
  return value.href.length > MAX_URL_LENGTH ? 'a URL of this length cannot be stored' : undefined
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
 * Writes instances of the built-in classes that have no token in our grammar: URL, RegExp, ArrayBuffer and views.
 * superjson gets them as one flat list and never sees the surrounding value, so its paths are plain indices.
 */
export function writeLeaves(leaves: readonly object[]): unknown {
  if (leaves.length > MAX_LEAVES)
    throw new SessionError(
      'ERR_SESSION_LIMIT',
      `the value has more than ${MAX_LEAVES} URLs, patterns and buffers`,
    )
  return superjson.serialize(leaves)
}

/** Reads what {@link writeLeaves} wrote. The text may be forged, so all annotations are checked first. */
export function readLeaves(written: unknown): readonly unknown[] {
  if (written === undefined) return []
  if (!isWritten(written)) throw damaged()
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
  if (!Array.isArray(json) || json.length === 0 || json.length > MAX_LEAVES) return false
  if (Object.keys(values).length !== json.length) return false
  return json.every((leaf: unknown, index) => isAnnotated(leaf, values[index]))
}

function isAnnotated(leaf: unknown, annotation: unknown): boolean {
  switch (JSON.stringify(annotation)) {
    case '["URL"]':
      return typeof leaf === 'string' && leaf.length <= MAX_URL_LENGTH
    case '["regexp"]':
      return (
        typeof leaf === 'string' &&
        leaf.length <= MAX_PATTERN_LENGTH &&
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
