/**
 * A schema of a library that follows the Standard Schema specification, version 1, such as zod 4, valibot or arktype. It must
 * be synchronous. `Output` is the type of the values that fit.
 */
export interface StandardSchemaV1<Output = unknown> {
  readonly '~standard': {
    readonly version: 1
    /** The name of the library. */
    readonly vendor: string
    readonly validate: (value: unknown) => StandardResult | Promise<StandardResult>
    /** For the compiler only: no such property exists at run time. */
    readonly types?: { readonly output: Output } | undefined
  }
}

/** What a schema answers: the value, or why it does not fit. */
export type StandardResult =
  | { readonly value: unknown; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] }

/** One reason why a value does not fit, and where in it. */
export interface StandardIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** A schema that also lists the fields of its object: `z.object()` of zod and `v.object()` of valibot do. */
export type ObjectSchema = StandardSchemaV1 & ({ readonly shape: object } | { readonly entries: object })

/** Whether a value fits a schema. If not: where and why, by its first issue. */
export type Verdict =
  | { readonly fits: true; readonly value: unknown }
  | { readonly fits: false; readonly path: readonly PropertyKey[]; readonly message: string }

export function isStandardSchema(value: unknown): value is StandardSchemaV1 {
  // The schemas of arktype are functions.
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  const standard: unknown = Reflect.get(value, '~standard')
  if (typeof standard !== 'object' || standard === null) return false
  return Reflect.get(standard, 'version') === 1 && typeof Reflect.get(standard, 'validate') === 'function'
}

/** The names of the fields of an object schema; `undefined` for any other value. */
export function fieldsOf(schema: unknown): readonly string[] | undefined {
  if (!isStandardSchema(schema)) return undefined
  const fields: unknown = Reflect.get(schema, 'shape') ?? Reflect.get(schema, 'entries')
  return typeof fields === 'object' && fields !== null ? Object.keys(fields) : undefined
}

/**
 * Asks a schema whether a value fits.
 *
 * @throws what the schema throws; an Error if it is asynchronous, or answers what the specification does not know
 */
export function verdictOf(schema: StandardSchemaV1, value: unknown): Verdict {
  // A schema of a JavaScript program may answer anything.
  const result: unknown = schema['~standard'].validate(value)
  if (typeof result !== 'object' || result === null) throw new Error('the schema returned no result')
  if ('then' in result) throw reasonOfPromise(schema, value, result)
  if ('issues' in result && result.issues !== undefined) {
    const [issue]: readonly unknown[] = Array.isArray(result.issues) ? result.issues : []
    return { fits: false, path: pathOf(issue), message: messageOf(schema, issue) }
  }
  if (!('value' in result)) throw new Error('the schema returned neither a value nor issues')
  return { fits: true, value: result.value }
}

/** zod answers with a promise if a function of the program's throws, too. Its own `safeParse` throws what that threw. */
function reasonOfPromise(schema: StandardSchemaV1, value: unknown, promise: object): unknown {
  Promise.resolve(promise).catch(() => {}) // a rejection that is not handled would end the process
  const safeParse: unknown = Reflect.get(schema, 'safeParse')
  try {
    if (typeof safeParse === 'function') safeParse.call(schema, value)
  } catch (error) {
    return error
  }
  return new Error('the schema is asynchronous')
}

function pathOf(issue: unknown): readonly PropertyKey[] {
  const path = propertyOf(issue, 'path')
  if (!Array.isArray(path)) return []
  return path.map((step: unknown) => keyOf(isKey(step) ? step : propertyOf(step, 'key')))
}

function keyOf(step: unknown): PropertyKey {
  return isKey(step) ? step : '?'
}

function isKey(step: unknown): step is PropertyKey {
  return typeof step === 'string' || typeof step === 'number' || typeof step === 'symbol'
}

/** Only zod 4 tells what is wrong without quoting the value, which may be a secret: other libraries' messages are left out. */
function messageOf(schema: StandardSchemaV1, issue: unknown): string {
  const message = '_zod' in schema ? propertyOf(issue, 'message') : undefined
  return typeof message === 'string' ? message : ''
}

function propertyOf(object: unknown, name: string): unknown {
  return typeof object === 'object' && object !== null ? Reflect.get(object, name) : undefined
}
