import { SessionError } from '../../errors.ts'

/**
 * The outcome of a call to a backend, or a rejection when `ms` have passed: a server that accepts and never answers must
 * not hold a request. The call itself may still be applied; that is what the version in a payload settles.
 */
export async function withDeadline<T>(what: string, ms: number, call: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new SessionError('ERR_SESSION_STORE', `${what}: no answer within ${ms} ms`))
    }, ms)
  })
  try {
    return await Promise.race([call, late])
  } finally {
    clearTimeout(timer)
  }
}
