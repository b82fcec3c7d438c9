/**
 * Gives `target` an own property, whatever it inherits. Everything decoded gets its properties here: a plain assignment
 * would call an inherited setter, or change the prototype, if the name came from a forged payload.
 */
export function define(target: object, name: string, value: unknown): void {
  if (name in target) {
    Object.defineProperty(target, name, { value, writable: true, enumerable: true, configurable: true })
  } else {
    // Nothing of that name is there or inherited, so this makes an own property, and several times faster.
    const record = target as Record<string, unknown>
    record[name] = value
  }
}
