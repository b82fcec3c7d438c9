import { SessionError } from '../errors.ts'
import { defaultLimits } from '../codec/limits.ts'
import { createVersion, Document } from '../codec/document/document.ts'
import { hashId, createId } from '../session/id.ts'
import type { SessionManager } from '../session/manager.ts'
import { neighbours as sharing } from '../stores/shared/neighbours.ts'
import { isDiagnosing, type Entry, type Finding, type Store } from '../store.ts'
import { plain, type Progress, type Result } from './output.ts'

/** How long the record lives that is written to try the store, in ms. It is removed at once. */
const LIFE = 60_000
/** A store that holds less than this, in bytes, refuses sessions that the library allows by far. */
const SMALL = 262_144
/** By how much two clocks may differ, in ms: by the half of the default of `rotateGrace`. */
const SKEW = 15_000
/** How each payload of this library begins. */
const PAYLOAD = 'kts1 '

/** Looks for what can go wrong with a store, before it does. It leaves nothing behind. */
export async function doctor(manager: SessionManager, progress: Progress): Promise<Result> {
  const findings: Finding[] = []
  const steps: readonly (readonly [string, () => Promise<readonly Finding[]>])[] = [
    ['connection', async () => connects(manager)],
    ['verbs', async () => serves(manager.store)],
    ['size', async () => holds(manager.store)],
    ['backend', async () => backend(manager.store)],
  ]
  for (const [name, step] of steps) {
    progress.show(`looking at the ${name}`)
    findings.push(...(await step().catch((error: unknown) => [failed(name, error)])))
    if (name === 'connection' && findings.some(({ ok }) => !ok)) break // nothing else can be told
  }
  progress.end()
  const faults = findings.filter(({ ok }) => !ok)
  const lines = findings.map(({ check, ok, text }) => `${ok ? 'ok   ' : 'fault'}  ${check}: ${plain(text)}\n`)
  const summary =
    faults.length === 0
      ? 'nothing is wrong\n'
      : `${faults.length} of ${findings.length} checks found a fault\n`
  return {
    json: { findings, faults: faults.length },
    text: lines.join('') + summary,
    ok: faults.length === 0,
  }
}

async function connects(manager: SessionManager): Promise<readonly Finding[]> {
  await manager.ready()
  return [{ check: 'connection', ok: true, text: `${manager.traits.name} answers` }]
}

/** Tries each verb on a record of its own: the rights, and that what was changed meanwhile is not overwritten. */
async function serves(store: Store): Promise<readonly Finding[]> {
  if (store.traits.location === 'client')
    return [{ check: 'verbs', ok: true, text: 'the sessions are in the clients, so nothing is tried' }]
  const key = hashId(createId(''), 'sha256')
  const expiresAt = Date.now() + LIFE
  const findings: Finding[] = []
  try {
    const first = await written(store.create(key, payloadOf(1), expiresAt))
    const read = await store.read(key)
    if (read?.payload !== first.payload)
      return [
        {
          check: 'verbs',
          ok: false,
          text: 'what was stored is not what is read: reads may come from a replica that is behind',
        },
      ]
    const drift = read.expiresAt - expiresAt
    findings.push(clock(drift, store.traits.resolution))
    const second = await written(store.replace(key, payloadOf(1), expiresAt, first))
    const stale = await store.replace(key, payloadOf(1), expiresAt, first)
    findings.push({
      check: 'compare-and-swap',
      ok: stale === 'conflict',
      text:
        stale === 'conflict'
          ? 'a change that is not based on the newest record is refused'
          : 'a stale change was stored: updates will be lost',
    })
    await store.touch(key, expiresAt + LIFE)
    const ended = await store.destroy(key, second)
    findings.push({
      check: 'verbs',
      ok: ended === 'ok' && (await store.read(key)) === undefined,
      text: 'create, read, replace, touch and destroy are allowed',
    })
  } finally {
    await store.destroy(key).catch(() => {})
  }
  return findings
}

function clock(drift: number, resolution: number): Finding {
  const off = Math.abs(drift) > resolution + 1_000
  return {
    check: 'expiry',
    ok: !off,
    text: off
      ? `the record ends ${Math.round(drift / 1_000)} s from when it should: the clocks of this machine and of the store differ`
      : 'records end when they should',
  }
}

/** Whether the largest session that the library allows can be stored. */
async function holds(store: Store): Promise<readonly Finding[]> {
  if (store.traits.location === 'client') return []
  const { maxBytes } = store.traits
  if (maxBytes < SMALL)
    return [
      {
        check: 'size',
        ok: false,
        text: `only ${maxBytes} bytes of a session can be stored, and limits.bytes allows ${defaultLimits.bytes}; raise the limit of the server, such as max_allowed_packet or the type of the column, or lower limits.bytes`,
      },
    ]
  const bytes = Math.min(defaultLimits.bytes, maxBytes)
  const key = hashId(createId(''), 'sha256')
  const text = payloadOf(bytes)
  try {
    await written(store.create(key, text, Date.now() + LIFE))
    const isWhole = (await store.read(key))?.payload === text
    const said = isWhole
      ? `${bytes} bytes, the most that a session may have, can be stored`
      : `${bytes} bytes are not read as they were stored`
    return [{ check: 'size', ok: isWhole, text: said }]
  } catch (error) {
    const limit = `a session of ${bytes} bytes, which the library allows, cannot be stored; raise the limit of the server, or lower limits.bytes`
    return [{ check: 'size', ok: false, text: `${limit}: ${messageOf(error)}` }]
  } finally {
    await store.destroy(key).catch(() => {})
  }
}

/** What the store knows of its backend, and whether others use the same prefix or table. */
async function backend(store: Store): Promise<readonly Finding[]> {
  if (!isDiagnosing(store)) return []
  const askedAt = Date.now()
  const { findings, clock: theirs, keys = [] } = await store.diagnose()
  return [
    ...findings,
    ...(theirs === undefined ? [] : [clocks(theirs, askedAt, Date.now())]),
    ...(keys.length === 0 ? [] : [await neighbours(store, keys)]),
  ]
}

function clocks(theirs: number, from: number, to: number): Finding {
  const off = theirs < from ? theirs - from : Math.max(0, theirs - to)
  const ok = Math.abs(off) <= SKEW
  return {
    check: 'clock',
    ok,
    text: ok
      ? 'the clocks of this machine and of the server agree'
      : `the clock of the server is ${Math.round(off / 1_000)} s from that of this machine; let both follow a time service`,
  }
}

/** Whether there are records that this application cannot have written. */
async function neighbours(store: Store, keys: readonly string[]): Promise<Finding> {
  let foreign = 0
  for (const key of keys) {
    const payload = await store.read(key).then(
      (entry) => entry?.payload ?? PAYLOAD,
      (error: unknown) => {
        if (error instanceof SessionError && error.code === 'ERR_SESSION_PAYLOAD') return ''
        throw error
      },
    )
    if (!payload.startsWith(PAYLOAD)) foreign += 1
  }
  return sharing(keys.length, foreign)
}

/** A payload of this length, if it is more than that of an empty session. */
function payloadOf(bytes: number): string {
  const header = { version: createVersion(), createdAt: Date.now(), attributes: new Map<string, string>() }
  const limits = { ...defaultLimits, bytes: Infinity }
  const empty = Document.empty(header).write(header, new Map(), limits)
  const line = (length: number): string =>
    Document.empty(header).write(header, new Map([['doctor', `J "${'x'.repeat(length)}"`]]), limits)
  const missing = bytes - line(0).length
  if (missing <= 0) return empty
  const text = line(missing)
  return text.length === bytes ? text : line(missing - (text.length - bytes))
}

async function written(answer: ReturnType<Store['replace'] | Store['create']>): Promise<Entry> {
  const outcome = await answer
  if (typeof outcome === 'string')
    throw new SessionError('ERR_SESSION_STORE', `a record of this command is answered by '${outcome}'`)
  return outcome.entry
}

function failed(check: string, error: unknown): Finding {
  return { check, ok: false, text: messageOf(error) }
}

/** The messages of an error and its causes. Those of this library hold no secret, and those of drivers are left out. */
function messageOf(error: unknown): string {
  if (!(error instanceof SessionError))
    return error instanceof Error ? error.name : 'an error without a message'
  const { cause } = error
  return cause instanceof SessionError ? `${error.message}: ${messageOf(cause)}` : error.message
}
