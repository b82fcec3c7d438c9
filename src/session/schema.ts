import type { z } from 'zod'
import { SessionError } from '../errors.ts'
import type { SessionValues } from './session.ts'

/** The keys of a session and what each may hold, in zod's words: `{ userId: z.int(), cart: z.instanceof(Cart) }`. */
export type Schema = Readonly<Record<string, z.ZodType>>

/** What a session with this schema holds. */
export type ValuesOf<S> = S extends Schema ? { [K in keyof S]: z.output<S[K]> } : SessionValues

/** Checks a session's values against its schema, and changes none: a value is kept as it is, or refused. */
export class SessionSchema {
  readonly #types: ReadonlyMap<string, z.ZodType>

  constructor(schema: Schema) {
    this.#types = new Map(Object.entries(schema))
  }

  has(key: string): boolean {
    return this.#types.has(key)
  }

  /** @throws SessionError `ERR_SESSION_VALUE` with the path of what does not fit */
  check(key: string, value: unknown): void {
    const type = this.#types.get(key)
    if (type === undefined) {
      const known = [...this.#types.keys()].join(', ')
      throw new SessionError('ERR_SESSION_VALUE', `the session's schema has no key '${key}'; it has ${known}`)
    }
    const result = type.safeParse(value)
    if (!result.success) {
      const [issue] = result.error.issues
      const path = [key, ...(issue?.path ?? [])].map(String).join('.')
      throw new SessionError(
        'ERR_SESSION_VALUE',
        `${path} does not fit the session's schema: ${issue?.message ?? ''}`,
      )
    }
    const primitive = typeof result.data !== 'object' || result.data === null
    if (primitive && !Object.is(result.data, value)) {
      throw new SessionError(
        'ERR_SESSION_VALUE',
        `${key}: its schema would change the value (by a transform, coercion or default); a session keeps values as they are`,
      )
    }
  }
}
