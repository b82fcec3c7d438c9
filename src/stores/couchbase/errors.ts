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

const BUSY_SENTENCE = 'the server has no room, or is too busy'

const SENTENCES = new Map<string, string>([
  [Failure.authentication, 'the server refuses this user and password'],
  [Failure.busy, BUSY_SENTENCE],
  [Failure.lostAnswer, 'no answer within the timeout'],
  [Failure.noAnswer, 'no answer within the timeout, and nothing was done'],
])

/** The errors that are an answer of the server. */
const ANSWERS: ReadonlySet<string> = new Set([
  Failure.authentication,
  Failure.busy,
  Failure.locked,
  Failure.notFound,
  Failure.exists,
  Failure.changed,
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

/** The driver's reason for retries while the server has no room, or is too busy. */
const BUSY = 'key_value_temporary_failure'

const TIMEOUTS: ReadonlySet<string> = new Set([Failure.lostAnswer, Failure.noAnswer])

/** A copy of a driver's error without its context, which contains the name of the document. */
export class CouchbaseError extends Error {
  override readonly name: string
  /** Whether it is an answer of the server. */
  readonly answered: boolean
  readonly isTimeout: boolean

  constructor(error: unknown) {
    super(sentence(error))
    this.isTimeout = error instanceof Error && TIMEOUTS.has(error.name)
    this.answered = error instanceof Error && (ANSWERS.has(error.name) || wasBusy(error))
    this.name = error instanceof Error ? error.name : 'Error'
  }
}

function sentence(error: unknown): string {
  if (!(error instanceof Error)) return 'an unknown error of the driver'
  const known = SENTENCES.get(error.name)
  if (known === undefined) return error.message
  const reasons = retryReasons(error)
  if (wasBusy(error)) return BUSY_SENTENCE
  if (reasons.length === 0) return known
  const why = reasons.includes(NO_COLLECTION) ? 'there is no such scope or collection' : reasons.join(', ')
  return `${known}: ${why}`
}

/** The driver repeats by itself what the server is too busy for, and says in the end that it was never answered. */
function wasBusy(error: Error): boolean {
  const reasons = retryReasons(error)
  return TIMEOUTS.has(error.name) && reasons.length > 0 && reasons.every((reason) => reason === BUSY)
}

/** Why the driver has sent a request again. */
function retryReasons(error: unknown): readonly unknown[] {
  if (!(error instanceof Error)) return []
  const { retry_reasons: reasons }: { readonly retry_reasons?: unknown } = Object(
    Reflect.get(error, 'context'),
  )
  return Array.isArray(reasons) ? reasons : []
}
