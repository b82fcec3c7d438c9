import { SessionError } from '../../errors.ts'

/** The code of a failed system call, `''` if `error` is not one. */
export function errnoOf(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error)) return ''
  return typeof error.code === 'string' ? error.code : ''
}

/**
 * Resolves to the task's result, or to `undefined` if it failed with one of `codes`; any other failure is passed on.
 */
export async function unless<T>(task: Promise<T>, ...codes: readonly string[]): Promise<T | undefined> {
  try {
    return await task
  } catch (error) {
    if (codes.includes(errnoOf(error))) return undefined
    throw error
  }
}

/** The failure of a system call as a `SessionError` that begins with `what`. Node's own text holds paths, so it stays out. */
export function systemError(what: string, error: unknown): SessionError {
  if (error instanceof SessionError) return error
  const code = errnoOf(error) || 'unknown error'
  const syscall = error instanceof Error && 'syscall' in error ? String(error.syscall) : 'file system'
  const cause = Object.assign(new Error(`${syscall}: ${code}`), { code, syscall })
  return new SessionError('ERR_SESSION_STORE', `${what}: ${code}`, { cause })
}
