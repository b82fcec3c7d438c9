import { SessionError } from '../errors.ts'
import { SessionManager } from '../session/manager.ts'
import { readArguments, USAGE, UsageError } from './arguments.ts'
import { run, type Call } from './commands.ts'
import { plain, type Terminal } from './output.ts'
import { managerOptions } from './settings.ts'

/** What the command is given by its process. */
export interface Surroundings extends Terminal {
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
  readonly input: Call['input']
}

/**
 * Runs the command `koa-typed-session`.
 *
 * @returns the exit code: 0 if all is well, 1 if a fault or no session was found or the store failed, 2 if it was called in a wrong way
 */
export async function main({ args, env, input, ...terminal }: Surroundings): Promise<0 | 1 | 2> {
  let manager: SessionManager | undefined
  let isJson = args.includes('--json')
  try {
    const { command, flags } = readArguments(args)
    if (command === undefined) {
      terminal.out.write(USAGE)
      return flags.help ? 0 : 2
    }
    isJson = flags.json
    manager = opened(() => new SessionManager(managerOptions(flags, env)))
    const { json, text, ok } = await run[command]({ flags, manager, terminal, input })
    terminal.out.write(isJson ? `${plain(JSON.stringify({ command, ok, ...json }))}\n` : text)
    return ok ? 0 : 1
  } catch (error) {
    const isUsage = error instanceof UsageError
    const said = messageOf(error)
    if (isJson) terminal.out.write(`${plain(JSON.stringify({ ok: false, error: said }))}\n`)
    else terminal.err.write(`koa-typed-session: ${plain(said)}\n`)
    return isUsage ? 2 : 1
  } finally {
    await manager?.close().catch(() => {})
  }
}

/** Options that the library refuses are mistakes of the call. */
function opened(open: () => SessionManager): SessionManager {
  try {
    return open()
  } catch (error) {
    if (error instanceof SessionError && error.code === 'ERR_SESSION_OPTIONS')
      throw new UsageError(error.message, { cause: error })
    throw error
  }
}

/** Errors of the library hold no secret; of those of drivers only the kind is told. */
function messageOf(error: unknown): string {
  if (error instanceof UsageError) return error.message
  if (error instanceof SessionError)
    return error.cause instanceof SessionError ? `${error.message}: ${messageOf(error.cause)}` : error.message
  return error instanceof Error ? `an unexpected ${error.name}` : 'an unexpected error'
}
