import { SessionError } from '../../errors.ts'

/**
 * Loads a driver when a store first needs it, so that an application installs only the drivers it uses.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS`, with the command that installs it, if the package is missing
 */
export async function loadDriver<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    const missing = cause instanceof Error && 'code' in cause && cause.code === 'ERR_MODULE_NOT_FOUND'
    if (!missing) throw cause
    throw new SessionError('ERR_SESSION_OPTIONS', `the package ${name} is missing: npm install ${name}`, {
      cause,
    })
  }
}
