import { SessionError } from '../../errors.ts'
import { errnoOf } from './errors.ts'

/** The codes of Node, Plug'n'Play and bundlers for a package that is not there. */
const MISSING = ['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND']

/**
 * The error of a driver that could not be loaded: `ERR_SESSION_OPTIONS`, with the command that installs it, if the package is
 * missing, and otherwise what it has thrown itself.
 *
 * A store loads its driver when it first needs it, so that an application installs only the drivers it uses:
 *
 * ```ts
 * try {
 *   return await import('ioredis')
 * } catch (error) {
 *   throw driverError('ioredis', error)
 * }
 * ```
 *
 * The import itself stands in the block, since bundlers then take the package as one that may be missing.
 */
export function driverError(name: string, cause: unknown): unknown {
  if (!isMissing(name, cause)) return cause
  return new SessionError('ERR_SESSION_OPTIONS', `the package ${name} is missing: npm install ${name}`, {
    cause,
  })
}

function isMissing(name: string, cause: unknown): boolean {
  const message = cause instanceof Error ? cause.message : ''
  // What ncc puts into a module in the place of a package that it has not found.
  if (message === 'require is not defined') return true
  // Vite has a sentence and no code. A package that the driver itself lacks is another matter.
  const isAbsent = MISSING.includes(errnoOf(cause)) || message.startsWith('Could not resolve')
  return isAbsent && new RegExp(`['"]${name}(?:/\\w+)?['"]`).test(message)
}
