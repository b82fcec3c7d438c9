import { SessionError } from '../../src/index.ts'
import { fingerprint } from '../fidelity/fingerprint.ts'
import { unsoundness } from './soundness.ts'
import { codec, harm, pollution } from './world.ts'

/** The result of decoding hostile text: a sound value, or an `ERR_SESSION_DECODE`. */
export type Verdict = 'value' | 'error'

/**
 * Decodes an untrusted line.
 *
 * @throws Error unless the result is an `ERR_SESSION_DECODE`, or a sound value that can be stored again
 */
export function judge(line: string): Verdict {
  const before = harm.constructed
  let value: unknown
  try {
    value = codec.decode(line, 'key')
  } catch (error) {
    refuse(pollution(true))
    if (error instanceof SessionError && error.code === 'ERR_SESSION_DECODE') return 'error'
    throw new Error('the error is not an ERR_SESSION_DECODE', { cause: error })
  }
  refuse(pollution(true))
  refuse(unsoundness(value))
  if (harm.constructed !== before) refuse('a constructor ran')
  refuse(unlike(value))
  return 'value'
}

/** Why a decoded value does not survive being stored again; `undefined` if it does, in one spelling. */
function unlike(value: unknown): string | undefined {
  const line = codec.encode(value, 'key')
  const again = codec.decode(line, 'key')
  if (fingerprint(again) !== fingerprint(value)) return 'it comes back as a different value'
  return codec.encode(again, 'key') === line ? undefined : 'it has two spellings'
}

function refuse(why: string | undefined): void {
  if (why !== undefined) throw new Error(why)
}
