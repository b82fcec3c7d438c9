import { readHeader } from '../codec/document/header.ts'
import { versionOf } from '../store.ts'
import { startDeadline } from '../stores/shared/deadlines.ts'
import type { GuardedStore } from './backend/guarded-store.ts'
import { endIn } from './expiry.ts'
import type { ManagerSettings } from './options.ts'
import { VERIFY_EVERY } from './owners/owner-listing.ts'
import { followRedirects, isTombstonePayload, redirectOf } from './redirect.ts'
import type { SessionState } from './state.ts'

/** What has happened to a session that is watched. */
export type SessionChange = 'changed' | 'ended'

type Settings = Pick<ManagerSettings, 'events' | 'now' | 'openTimeout' | 'owners'>

/** Where the time between two looks is not given, in ms: `verifyEvery` of 0 means with each request, and there is none. */
const EACH_SECOND = 1_000

/**
 * Watches a stored session: yields `'changed'` when a request has stored changes, or has given it a new ID, and `'ended'` once, as the
 * last. What happens in this process is told at once; the store is asked every `owners.verifyEvery` ms for what others do.
 *
 * @param signal ends the iteration without another word
 */
export async function* watch(
  state: SessionState,
  { events, now, openTimeout, owners }: Settings,
  store: GuardedStore,
  signal: AbortSignal | undefined,
): AsyncGenerator<SessionChange, void, undefined> {
  let { key } = state
  let version = state.entry && versionOf(state.entry.payload)
  let change: SessionChange | undefined
  let wake: () => void = () => {}
  const note = (what: SessionChange): void => {
    if (change !== 'ended') change = what
    wake()
  }
  /** Looks what is stored. Trouble says nothing about the session. */
  const look = async (): Promise<void> => {
    if (key === undefined) return
    const deadline = startDeadline('openTimeout', openTimeout)
    const found = await followRedirects(
      key,
      async (at) => store.read(at, undefined, deadline),
      ({ payload }) => redirectOf(payload),
    )
    ;({ key } = found)
    if (found.record === undefined || isTombstonePayload(found.record.payload)) return note('ended')
    const { attributes } = readHeader(found.record.payload).header
    if ((endIn(attributes) ?? Infinity) <= now()) return note('ended')
    const newer = versionOf(found.record.payload)
    if (newer !== version) note('changed')
    version = newer
  }
  const stop = events.watch(state.handle, note)
  const aborted = (): void => wake()
  signal?.addEventListener('abort', aborted)
  const timer = setInterval(
    () => void look().catch(() => {}),
    (owners.verifyEvery ?? VERIFY_EVERY) || EACH_SECOND,
  )
  timer.unref()
  try {
    while (!isAborted(signal)) {
      if (change === undefined) await new Promise<void>((resolve) => (wake = resolve))
      if (isAborted(signal)) return
      const told: SessionChange | undefined = change
      change = undefined
      if (told !== undefined) yield told
      if (told === 'ended') return
    }
  } finally {
    clearInterval(timer)
    stop()
    signal?.removeEventListener('abort', aborted)
  }
}

/** Asked again after each wait, in which it may have changed. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true
}
