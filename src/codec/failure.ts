import { errorTypes } from './builtin.ts'
import { damaged } from './word.ts'

/** The class of an error of the language. */
export function nameOfError(prototype: object): string {
  if (prototype === AggregateError.prototype) return 'AggregateError'
  for (const [name, type] of errorTypes) if (type.prototype === prototype) return name
  return 'Error'
}

/** One of the fields that the language hides: `message`, `cause`, `errors`. */
export function hiddenField(error: Error, name: string): PropertyDescriptor | undefined {
  if (name !== 'message' && name !== 'cause' && name !== 'errors') return undefined
  const field = Object.getOwnPropertyDescriptor(error, name)
  return field?.enumerable === false && 'value' in field ? field : undefined
}

/** An error without message and stack. Where it was thrown is not kept, and where it is decoded is nobody's business. */
export function blankError(name: unknown): Error {
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
