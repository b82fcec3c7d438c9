import { SessionError } from '../../errors.ts'

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

/** Where a walk through a value is, for what it has to say. */
export class Trail {
  readonly #key: string
  readonly #steps: Step[] = []

  constructor(key: string) {
    this.#key = key
  }

  enter(step: Step): void {
    this.#steps.push(step)
  }

  leave(): void {
    this.#steps.pop()
  }

  /** The part here, or one step further, cannot be kept. */
  refused(why: string, step?: Step): SessionError {
    return new SessionError('ERR_SESSION_VALUE', `${this.#path(step)}: ${why}`)
  }

  /** The same because a function of the program's failed. */
  failed(why: string, cause: unknown): SessionError {
    return new SessionError('ERR_SESSION_VALUE', `${this.#path()}: ${why}`, { cause })
  }

  /** A budget is used up here. */
  exceeded(what: string): SessionError {
    return new SessionError('ERR_SESSION_LIMIT', `${this.#path()}: the value has more ${what} than its limit`)
  }

  #path(step?: Step): string {
    return renderPath(this.#key, step === undefined ? this.#steps : [...this.#steps, step])
  }
}
