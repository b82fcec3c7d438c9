import { SessionError } from '../../errors.ts'
import { errnoOf, isMistake, mistakeError, refusedError, storeError } from '../shared/errors.ts'
import { DISK_REASONS } from '../shared/disk.ts'

/** The result of `task`, or `undefined` if it fails with one of `codes`. Any other failure is thrown. */
export async function unless<T>(task: Promise<T>, ...codes: readonly string[]): Promise<T | undefined> {
  try {
    return await task
  } catch (error) {
    if (codes.includes(errnoOf(error))) return undefined
    throw error
  }
}

/** What the codes mean that an operator can do something about. */
const REASONS: ReadonlyMap<string, string> = new Map([
  ...DISK_REASONS,
  ['EFBIG', 'the file would be larger than the process may write'],
])

/** The disk, or the server of a network file system, does not answer. After `EIO` it is not known what was written. */
const SILENCE: ReadonlySet<string> = new Set([
  'EIO',
  'ENODEV',
  'ENXIO',
  'EREMOTEIO',
  'ESTALE',
  'ENOTCONN',
  'ETIMEDOUT',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
])

/** The failure of a system call as a `SessionError` that begins with `what`. Node's own text is left out: it contains paths. */
export function systemError(what: string, error: unknown): SessionError {
  if (error instanceof SessionError) return error
  if (isMistake(error)) return mistakeError('file', what, error)
  const code = errnoOf(error) || 'unknown error'
  const isSystem = error instanceof Error && 'syscall' in error
  const syscall = isSystem ? String(error.syscall) : 'file system'
  const cause = Object.assign(new Error(`${syscall}: ${code}`), { code, syscall })
  const reason = REASONS.get(code)
  const failure = isSystem && /^E[A-Z0-9]+$/.test(code) && !SILENCE.has(code) ? refusedError : storeError
  return failure('file', `${what}: ${reason === undefined ? code : `${reason} (${code})`}`, cause)
}
