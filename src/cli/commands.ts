import { createInterface } from 'node:readline/promises'
import { Document } from '../codec/document/document.ts'
import { defaultLimits } from '../codec/limits.ts'
import { HeaderAttributes } from '../session/header-attributes.ts'
import { stateOf } from '../session/session.ts'
import type { OwnerSessions } from '../session/owners/owner-sessions.ts'
import type { Entry } from '../store.ts'
import type { SessionManager } from '../session/manager.ts'
import { UsageError, type CommandName, type Flags } from './arguments.ts'
import { doctor } from './doctor.ts'
import { moment, plain, Progress, table, type Result, type Terminal } from './output.ts'

/** What a command works with. */
export interface Call {
  readonly flags: Flags
  readonly manager: SessionManager
  readonly terminal: Terminal
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean }
}

export const run: Readonly<Record<CommandName, (call: Call) => Promise<Result>>> = {
  inspect,
  list,
  end,
  count,
  sweep,
  doctor: async ({ manager, terminal }) => doctor(manager, new Progress(terminal)),
}

async function inspect(call: Call): Promise<Result> {
  const { flags, manager } = call
  const entry =
    flags.handle === undefined ? await entryById(call) : await sessionsOf(call).entryOf(flags.handle)
  if (entry === undefined) return { json: { found: false }, text: 'there is no such session\n', ok: false }
  const document = Document.parse(entry.payload, { ...defaultLimits, bytes: Infinity, keys: Infinity })
  const { handle } = new HeaderAttributes(document.header.attributes)
  const keys = document.keys().map((name) => {
    const line = document.line(name) ?? ''
    return { name, bytes: Buffer.byteLength(line), ...(flags.values && { value: line }) }
  })
  const json = {
    found: true,
    store: manager.traits.name,
    handle,
    createdAt: document.header.createdAt,
    expiresAt: entry.expiresAt,
    bytes: Buffer.byteLength(entry.payload),
    keys,
  }
  const head = ['key', 'bytes', ...(flags.values ? ['value as it is stored'] : [])]
  const rows = keys.map(({ name, bytes, value }) => [
    name,
    String(bytes),
    ...(value === undefined ? [] : [value]),
  ])
  const text =
    `handle   ${handle}\nbegun    ${moment(json.createdAt)}\nends     ${moment(json.expiresAt)}\nbytes    ${json.bytes}\n\n` +
    table(head, rows)
  return { json, text, ok: true }
}

/** What is stored of the session whose ID comes by the standard input. Its life is not extended. */
async function entryById({ manager, input, terminal }: Call): Promise<Entry | undefined> {
  if (input.isTTY === true) terminal.err.write('The ID of the session, which is the value of its cookie: ')
  const lines = createInterface({ input })
  let id = ''
  for await (const line of lines) {
    id = line.trim()
    if (id !== '') break
  }
  lines.close()
  if (id === '') throw new UsageError('inspect: no ID came by the standard input')
  const session = await manager.find(id, { passive: true, unseen: true })
  return session && stateOf(session).entry
}

async function list(call: Call): Promise<Result> {
  const listed = await sessionsOf(call).list()
  // When each was last used would follow from the program's `idleTimeout`, which is not known here.
  const sessions = listed.map(({ handle, label, signedInAt, expiresAt }) => ({
    handle,
    label,
    signedInAt,
    expiresAt,
  }))
  const rows = sessions.map(({ handle, label = '', signedInAt, expiresAt }) => [
    handle,
    moment(signedInAt),
    moment(expiresAt),
    label,
  ])
  const text = sessions.length === 0 ? 'no sessions\n' : table(['handle', 'signed in', 'ends', 'label'], rows)
  return { json: { sessions }, text, ok: true }
}

async function end(call: Call): Promise<Result> {
  const { handle = '', all, owner = '' } = call.flags
  const sessions = sessionsOf(call)
  const there = await sessions.list()
  const ending = all ? there : there.filter((each) => each.handle === handle)
  const ofOwner = `${ending.length} of ${there.length} sessions of ${plain(owner)}`
  // With none to end, --all still refuses the sign-ins that are under way.
  if (ending.length > 0 || all) await agree(call, `This ends ${ofOwner}.`)
  const ended = all ? await sessions.endAll() : Number(await sessions.end(handle))
  const ok = all || ended === 1
  return {
    json: { ended, sessions: there.length },
    text: ok ? `ended ${ended}\n` : 'there is no such session\n',
    ok,
  }
}

/** Asks before something is ended. @throws UsageError where no person can answer, or the answer is not yes */
async function agree({ flags, input, terminal }: Call, what: string): Promise<void> {
  if (flags.yes) return
  if (input.isTTY !== true)
    throw new UsageError(`${what} Nothing was done: give --yes, since no person can be asked here`)
  const lines = createInterface({ input, output: terminal.err as NodeJS.WritableStream })
  const answer = await lines.question(`${what} Go on? [y/N] `)
  lines.close()
  if (!/^y(?:es)?$/i.test(answer.trim())) throw new UsageError('nothing was done')
}

async function count({ manager }: Call): Promise<Result> {
  const stored = await manager.count()
  return { json: { count: stored }, text: `${stored}\n`, ok: true }
}

async function sweep({ manager, terminal }: Call): Promise<Result> {
  const progress = new Progress(terminal)
  let removed = 0
  for (;;) {
    const batch = await manager.sweep()
    removed += batch
    if (batch === 0) break
    progress.show(`${removed} removed`)
  }
  progress.end()
  return { json: { removed }, text: `${removed} removed\n`, ok: true }
}

function sessionsOf({ manager, flags }: Call): OwnerSessions {
  const { owner = '', tenant } = flags
  return manager.sessionsOf(tenant === undefined ? owner : { id: owner, tenant })
}
