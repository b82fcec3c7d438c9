import { fromConfig } from '../koa/config.ts'
import type { ManagerOptions } from '../session/options.ts'
import { UsageError, type Flags } from './arguments.ts'

/** The variables of the environment that hold what must not be an argument. */
export interface Environment {
  readonly SESSION_PROVIDER_CONFIG?: string | undefined
  readonly SESSION_SEAL_KEYS?: string | undefined
}

/**
 * Longer than a browser keeps a cookie. The timeouts of the program are not known here, and a shorter one would end sessions that it
 * allows, or the record of their owner.
 */
const LONGEST = 400 * 24 * 60 * 60 * 1000

/** What a session manager of the program's store needs. @throws UsageError */
export function managerOptions(flags: Flags, env: Environment & NodeJS.ProcessEnv): ManagerOptions {
  const { provider, providerConfig, hash, idPrefix } =
    flags.config === undefined
      ? { provider: flags.provider, providerConfig: env.SESSION_PROVIDER_CONFIG }
      : fromConfig(flags.config, env)
  if (provider === undefined || provider === 'memory')
    throw new UsageError(
      'memory: the sessions are in the memory of the application, where no command reaches them',
    )
  const keys = env.SESSION_SEAL_KEYS?.split(',').map((key) => key.trim())
  const seal = keys && { keys, ...(flags.application !== undefined && { application: flags.application }) }
  const prefix = flags['id-prefix'] ?? idPrefix
  const algorithm = flags.hash ?? hash
  return {
    provider,
    ...(providerConfig !== undefined && { providerConfig }),
    ...(algorithm !== undefined && { hash: algorithm }),
    ...(prefix !== undefined && { idPrefix: prefix }),
    absoluteTimeout: LONGEST,
    // Nothing is verified: to look at a session must not end it.
    owners: { verifyEvery: LONGEST },
    ...(seal !== undefined && { seal }),
    sweepInterval: 0,
  }
}
