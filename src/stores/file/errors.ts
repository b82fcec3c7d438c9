import { SessionError } from '../../errors.ts'
import { errnoOf, storeError } from '../shared/errors.ts'

/** The result of `task`, or `undefined` if it fails with one of `codes`. Any other failure is thrown. */
export async function unless<T>(task: Promise<T>, ...codes: readonly string[]): Promise<T | undefined> {
  try {
    return await task
  } catch (error) {
    if (codes.includes(errnoOf(error))) return undefined
    throw error
  }
}

/** The failure of a system call as a `SessionError` that begins with `what`. Node's own text is left out: it contains paths. */
export function systemError(what: string, error: unknown): SessionError {
  if (error instanceof SessionError) return error
  const code = errnoOf(error) || 'unknown error'
  const syscall = error instanceof Error && 'syscall' in error ? String(error.syscall) : 'file system'
  const cause = Object.assign(new Error(`${syscall}: ${code}`), { code, syscall })
  return storeError('file', `${what}: ${code}`, cause)
}
