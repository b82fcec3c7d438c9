import { errorTypes } from './builtins.ts'
import type { PartReader, PartWriter } from './collections.ts'
import { define } from './define.ts'
import { isRecord, setFields } from './fields.ts'
import { damaged } from './tokens.ts'

/**
 * `["~Error",name,{hidden},{shown}]`: the class, the fields that the language hides, and all others. The stack is not
 * kept: it tells of files.
 */
export function writeError(
  error: Error,
  prototype: object,
  names: readonly string[],
  depth: number,
  writer: PartWriter,
): unknown[] {
  const hidden = {}
  const shown: string[] = []
  for (const name of names) {
    const field = hiddenField(error, name)
    if (field !== undefined) define(hidden, name, writer.part(name, field.value, depth))
    else if (name !== 'stack') shown.push(name)
  }
  return ['~Error', nameOfError(prototype), hidden, writer.fields(error, shown, depth)]
}

export function readError(node: readonly unknown[], depth: number, reader: PartReader): Error {
  const [, name, hidden, shown] = node
  if (node.length !== 4 || !isRecord(hidden) || !isRecord(shown)) throw damaged()
  const error = blankError(name)
  const below = reader.enter(error, depth)
  reader.fields(hidden, below)
  reader.fields(shown, below)
  for (const [field, value] of Object.entries(hidden)) {
    if (field !== 'message' && field !== 'cause' && field !== 'errors') throw damaged()
    Object.defineProperty(error, field, { value, writable: true, enumerable: false, configurable: true })
  }
  if (Object.keys(shown).some((field) => Object.hasOwn(error, field))) throw damaged()
  setFields(error, shown)
  return error
}

/** The class of an error of the language. */
function nameOfError(prototype: object): string {
  if (prototype === AggregateError.prototype) return 'AggregateError'
  for (const [name, type] of errorTypes) if (type.prototype === prototype) return name
  return 'Error'
}

/** One of the fields that the language hides: `message`, `cause`, `errors`. */
function hiddenField(error: Error, name: string): PropertyDescriptor | undefined {
  if (name !== 'message' && name !== 'cause' && name !== 'errors') return undefined
  const field = Object.getOwnPropertyDescriptor(error, name)
  return field?.enumerable === false && 'value' in field ? field : undefined
}

/** An error without message and stack. Where it was thrown is not kept, and where it is decoded is nobody's business. */
function blankError(name: unknown): Error {
  const error = withoutStack(() => (name === 'AggregateError' ? new AggregateError([]) : newError(name)))
  Reflect.deleteProperty(error, 'errors')
  Object.defineProperty(error, 'stack', { value: '', writable: true, enumerable: false, configurable: true })
  return error
}

function newError(name: unknown): Error {
  const type = typeof name === 'string' ? errorTypes.get(name) : undefined
  if (type === undefined) throw damaged()
  return new type()
}

/** To note the stack takes a hundred times as long as to make the error. Where the limit is frozen, it takes that long. */
function withoutStack(make: () => Error): Error {
  const { stackTraceLimit } = Error
  Reflect.set(Error, 'stackTraceLimit', 0)
  try {
    return make()
  } finally {
    Reflect.set(Error, 'stackTraceLimit', stackTraceLimit)
  }
}
