/** A step into a value: a property's name, a position in an array, or, as user data is not shown, a place in a Map or Set. */
export type Step = string | number | Place

/** A position among the keys or values of a Map, or the members of a Set. */
export interface Place {
  readonly part: 'key' | 'value' | 'member'
  readonly index: number
}

const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u
const LONGEST_NAME = 40

/** A path as a developer would write it: `cart.items[3].price`, `prices[value 2]`. */
export function renderPath(key: string, steps: readonly Step[]): string {
  let path = IDENTIFIER.test(key) ? shorten(key) : JSON.stringify(shorten(key))
  for (const step of steps) {
    if (typeof step === 'number') path += `[${step}]`
    else if (typeof step === 'object') path += `[${step.part} ${step.index}]`
    else if (IDENTIFIER.test(step)) path += `.${shorten(step)}`
    else path += `[${JSON.stringify(shorten(step))}]`
  }
  return path
}

function shorten(name: string): string {
  return name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME)}…` : name
}
