import { SessionError } from '../../src/index.ts'
import { fingerprint } from '../fidelity/fingerprint.ts'
import { unsoundness } from './soundness.ts'
import { codec, harm, pollution } from './world.ts'

/** What became of hostile text: a sound value, or the one error there is for it. */
export type Verdict = 'value' | 'error'

/**
 * Decodes a line that nobody can trust.
 *
 * @throws Error if anything else happened than a sound value, which can be kept again, or an `ERR_SESSION_DECODE`
 */
export function judge(line: string): Verdict {
  const before = harm.constructed
  let value: unknown
  try {
    value = codec.decode(line, 'key')
  } catch (error) {
    refuse(pollution(true))
    if (error instanceof SessionError && error.code === 'ERR_SESSION_DECODE') return 'error'
    throw new Error('another error than ERR_SESSION_DECODE', { cause: error })
  }
  refuse(pollution(true))
  refuse(unsoundness(value))
  if (harm.constructed !== before) refuse('a constructor ran')
  refuse(unlike(value))
  return 'value'
}

/** What was decoded is data like any other: it is kept as it is, in one spelling. */
function unlike(value: unknown): string | undefined {
  const line = codec.encode(value, 'key')
  const again = codec.decode(line, 'key')
  if (fingerprint(again) !== fingerprint(value)) return 'it comes back as something else'
  return codec.encode(again, 'key') === line ? undefined : 'it is spelled in two ways'
}

function refuse(why: string | undefined): void {
  if (why !== undefined) throw new Error(why)
}
