import { SessionError } from '../../errors.ts'

/** A step into a value: a property name, an array index, or a position in a Map or Set, whose keys may be user data. */
export type Step = string | number | Place

/** The position of a key or value in a Map, or of a member in a Set. */
export interface Place {
  readonly part: 'key' | 'value' | 'member'
  readonly index: number
}

const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u
const MAX_NAME_LENGTH = 40

/** A path as in JavaScript: `cart.items[3].price`, `prices[value 2]`. */
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
  return name.length > MAX_NAME_LENGTH ? `${name.slice(0, MAX_NAME_LENGTH)}…` : name
}

/** The current position in a value that is being encoded, for error messages. */
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

  /** The error for a part, here or one step further, that cannot be stored. */
  refused(why: string, step?: Step): SessionError {
    return new SessionError('ERR_SESSION_VALUE', `${this.#path(step)}: ${why}`)
  }

  /** The error for a part of which a function of the program failed. */
  failed(why: string, cause: unknown): SessionError {
    return new SessionError('ERR_SESSION_VALUE', `${this.#path()}: ${why}`, { cause })
  }

  /** The error for a limit that is exceeded here. */
  exceeded(what: string): SessionError {
    return new SessionError('ERR_SESSION_LIMIT', `${this.#path()}: the value has more ${what} than its limit`)
  }

  #path(step?: Step): string {
    return renderPath(this.#key, step === undefined ? this.#steps : [...this.#steps, step])
  }
}
