/** The key of the map in the global object: the same for all copies of the package. */
const KEY = Symbol.for('koa-typed-session registered classes')

/** What identifies this copy of the package. */
const thisCopy: object = {}

/** Which copy of the package has registered a class, for all classes and copies in this process, by their prototypes. */
function registrations(): WeakMap<object, object> {
  const known: unknown = Reflect.get(globalThis, KEY)
  if (known instanceof WeakMap) return known as WeakMap<object, object> // each copy writes the same
  const made = new WeakMap<object, object>()
  Object.defineProperty(globalThis, KEY, { value: made })
  return made
}

/** Takes note of a class that a registry of this copy of the package has, so that an error can say so. */
export function noteRegistered(prototype: object): void {
  const classes = registrations()
  if (!classes.has(prototype)) classes.set(prototype, thisCopy)
}

/** Where a class is registered which the registry that was asked does not have. */
export function whereRegistered(prototype: object): 'another copy' | 'another registry' | undefined {
  const copy = registrations().get(prototype)
  if (copy === undefined) return undefined
  return copy === thisCopy ? 'another registry' : 'another copy'
}
