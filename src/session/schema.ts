import type { z } from 'zod'
import { SessionError } from '../errors.ts'

/** A zod type for each key of a session: `{ userId: z.int(), cart: z.instanceof(Cart) }`. */
export type Schema = Readonly<Record<string, z.ZodType>>

/** The keys and values of a session without a schema. `any`, so that a value is read with the type the program expects. */
// oxlint-disable-next-line typescript/no-explicit-any
export type SessionValues = Record<string, any>

/** The keys and values of a session with the schema `S`. */
export type ValuesOf<S> = S extends Schema ? { [K in keyof S]: z.output<S[K]> } : SessionValues

/** Checks values against a schema. It never changes a value: a schema whose output differs from its input is refused. */
export class SessionSchema {
  readonly #types: ReadonlyMap<string, z.ZodType>

  constructor(schema: Schema) {
    this.#types = new Map(Object.entries(schema))
  }

  has(key: string): boolean {
    return this.#types.has(key)
  }

  /** @throws SessionError `ERR_SESSION_VALUE` that names the path of the value that does not fit */
  check(key: string, value: unknown): void {
    const type = this.#types.get(key)
    if (type === undefined) {
      const known = [...this.#types.keys()].join(', ')
      throw refused(`the session's schema has no key '${key}'; it has ${known}`)
    }
    const result = type.safeParse(value)
    if (!result.success) {
      const [issue] = result.error.issues
      const path = [key, ...(issue?.path ?? [])].map(String).join('.')
      throw refused(`${path} does not fit the session's schema: ${issue?.message ?? ''}`)
    }
    const isPrimitive = typeof result.data !== 'object' || result.data === null
    if (isPrimitive && !Object.is(result.data, value)) {
      throw refused(
        `${key}: its schema would change the value (by a transform, coercion or default); a session stores values unchanged`,
      )
    }
  }
}

function refused(message: string): SessionError {
  return new SessionError('ERR_SESSION_VALUE', message)
}
