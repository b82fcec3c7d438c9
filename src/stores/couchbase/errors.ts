/** What the driver calls its errors, where we must know. They are told by name, since there may be two copies of it. */
export const Failure = {
  authentication: 'AuthenticationFailureError',
  busy: 'TemporaryFailureError',
  changed: 'CasMismatchError',
  exists: 'DocumentExistsError',
  locked: 'DocumentLockedError',
  lostAnswer: 'AmbiguousTimeoutError',
  noAnswer: 'UnambiguousTimeoutError',
  notFound: 'DocumentNotFoundError',
  tooLarge: 'ValueTooLargeError',
} as const

const SENTENCES = new Map<string, string>([
  [Failure.authentication, 'the server refuses user and password'],
  [Failure.lostAnswer, 'no answer within the timeout'],
  [Failure.noAnswer, 'no answer within the timeout, and nothing was done'],
])

/** By this the driver tells that it has looked for the collection again and again. */
const NO_COLLECTION = 'key_value_collection_outdated'

/** An error of the driver without what the driver puts into it: the name of the document. */
export class CouchbaseError extends Error {
  override readonly name: string

  constructor(error: unknown) {
    super(sentence(error))
    this.name = error instanceof Error ? error.name : 'Error'
  }
}

function sentence(error: unknown): string {
  if (!(error instanceof Error)) return 'an unknown error of the driver'
  const known = SENTENCES.get(error.name)
  if (known === undefined) return error.message
  const { retry_reasons: reasons }: { readonly retry_reasons?: unknown } = Object(
    Reflect.get(error, 'context'),
  )
  if (!Array.isArray(reasons) || reasons.length === 0) return known
  const why = reasons.includes(NO_COLLECTION) ? 'there is no such scope or collection' : reasons.join(', ')
  return `${known}: ${why}`
}
