/** The names of the driver's errors. They are compared by name, since two copies of the driver may be loaded. */
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
  [Failure.authentication, 'the server refuses this user and password'],
  [Failure.busy, 'the server has no room, or is too busy'],
  [Failure.lostAnswer, 'no answer within the timeout'],
  [Failure.noAnswer, 'no answer within the timeout, and nothing was done'],
])

/** The errors that are an answer of the server. A timeout is none, even if the server answered that it was busy until then. */
const ANSWERS: ReadonlySet<string> = new Set([
  ...[
    Failure.authentication,
    Failure.busy,
    Failure.locked,
    Failure.notFound,
    Failure.exists,
    Failure.changed,
  ],
  'BucketNotFoundError',
  'CollectionNotFoundError',
  'DurabilityImpossibleError',
  'DurabilityLevelNotAvailableError',
  'DurableWriteInProgressError',
  'FeatureNotAvailableError',
  'InternalServerFailureError',
  'InvalidArgumentError',
  'QuotaLimitedError',
  'RateLimitedError',
  'ScopeNotFoundError',
  'UnsupportedOperationError',
])

/** The driver's reason for retries while it does not find the collection. */
const NO_COLLECTION = 'key_value_collection_outdated'

/** A copy of a driver's error without its context, which contains the name of the document. */
export class CouchbaseError extends Error {
  override readonly name: string
  /** Whether it is an answer of the server. */
  readonly answered: boolean

  constructor(error: unknown) {
    super(sentence(error))
    this.answered = error instanceof Error && ANSWERS.has(error.name)
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
