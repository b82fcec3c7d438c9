import type { SessionManager } from '../session/manager.ts'
import type { Flags } from './arguments.ts'
import type { Terminal } from './output.ts'

/** What a command works with. */
export interface Call {
  readonly flags: Flags
  readonly manager: SessionManager
  readonly terminal: Terminal
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean }
}

/** What a command has found: for programs, for people, and whether it is what was hoped for (exit code 0) or not (1). */
export interface Result {
  readonly json: Readonly<Record<string, unknown>>
  readonly text: string
  readonly ok: boolean
}
