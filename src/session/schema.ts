import { type StandardSchemaV1, type Verdict, verdictOf } from '../codec/standard-schema.ts'
import { SessionError } from '../errors.ts'

/** A schema for each key of a session, of zod 4 or any Standard Schema library: `{ userId: z.int(), cart: z.instanceof(Cart) }`. */
export type Schema = Readonly<Record<string, StandardSchemaV1>>

/** The keys and values of a session without a schema. `any`, so that a value is read with the type the program expects. */
// oxlint-disable-next-line typescript/no-explicit-any
export type SessionValues = Record<string, any>

/** The keys and values of a session with the schema `S`. */
export type ValuesOf<S> = S extends Schema
  ? { [K in keyof S]: NonNullable<S[K]['~standard']['types']>['output'] }
  : SessionValues

/**
 * The types of the application, for `koa-typed-session/augment` and `SessionContext`. It is empty; a program adds its schema:
 *
 * ```ts
 * declare module 'koa-typed-session' {
 *   interface Register { schema: typeof schema }
 * }
 * ```
 */
export interface Register {}

/** The schema that the program has added to {@link Register}, or `undefined`. */
export type RegisteredSchema = Register extends { readonly schema: infer S extends Schema } ? S : undefined

/** Checks values against a schema. It never changes a value: a schema whose output differs from its input is refused. */
export class SessionSchema {
  readonly #schemas: ReadonlyMap<string, StandardSchemaV1>

  constructor(schema: Schema) {
    this.#schemas = new Map(Object.entries(schema))
  }

  has(key: string): boolean {
    return this.#schemas.has(key)
  }

  /** @throws SessionError `ERR_SESSION_VALUE` that names the path of the value that does not fit */
  check(key: string, value: unknown): void {
    const schema = this.#schemas.get(key)
    if (schema === undefined) {
      const known = [...this.#schemas.keys()].join(', ')
      throw refused(`the session's schema has no key '${key}'; it has ${known}`)
    }
    let verdict: Verdict
    try {
      verdict = verdictOf(schema, value)
    } catch (cause) {
      throw refused(`${key}: its schema failed; it must be synchronous and must not throw`, cause)
    }
    if (!verdict.fits) {
      const path = [key, ...verdict.path].map(String).join('.')
      const reason = verdict.message === '' ? '' : `: ${verdict.message}`
      throw refused(`${path} does not fit the session's schema${reason}`)
    }
    if ((isPrimitive(value) || isPrimitive(verdict.value)) && !Object.is(verdict.value, value)) {
      throw refused(
        `${key}: its schema would change the value (by a transform, coercion or default); a session stores values unchanged`,
      )
    }
  }
}

function isPrimitive(value: unknown): boolean {
  return typeof value !== 'object' || value === null
}

function refused(message: string, cause?: unknown): SessionError {
  return new SessionError('ERR_SESSION_VALUE', message, cause === undefined ? {} : { cause })
}
