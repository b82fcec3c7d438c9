import { SessionError } from '../../errors.ts'

/**
 * The outcome of a call to a backend, or a rejection when `ms` have passed: a server that accepts and never answers must
 * not hold a request. The call itself may still be applied; that is what the version in a payload settles.
 */
export function withDeadline<T>(what: string, ms: number, call: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new SessionError('ERR_SESSION_STORE', `${what}: no answer within ${ms} ms`))
    }, ms)
    call.then(
      (result) => {
        clearTimeout(timer)
        return resolve(result)
      },
      (error: unknown) => {
        clearTimeout(timer)
        return reject(error)
      },
    )
  })
}
