import type { SessionError } from '../../errors.ts'
import { optionError } from '../shared/options.ts'

const EXAMPLES =
  'user:password@tcp(127.0.0.1:3306)/database?timeout=5s or mysql://user:password@127.0.0.1:3306/database'

/** The error of a config string. `problem` has no text of it but known names. */
export function malformed(problem: string): SessionError {
  return optionError('mysql', `the config string ${problem}; expected ${EXAMPLES}`)
}

/** Throws {@link malformed}. */
export function fail(problem: string): never {
  throw malformed(problem)
}
