import { Document } from '../../codec/document/document.ts'
import { defaultLimits } from '../../codec/limits.ts'

/** What a payload is, by the attributes in its header. */
export type RecordKind =
  | { readonly kind: 'session' }
  /** Under an old ID: where the session is now. It opens for `until` ms since the epoch, or never. */
  | { readonly kind: 'redirect'; readonly next: string; readonly opensUntil: number }
  /** Under no ID: where a session that was rotated is now. */
  | { readonly kind: 'trail'; readonly next: string }
  /** Says that the session was ended while other requests were writing to it. */
  | { readonly kind: 'tombstone' }

export function recordOf(payload: string): RecordKind {
  const { attributes } = Document.parse(payload, defaultLimits).header
  const next = attributes.get('next')
  if (next !== undefined) {
    if (attributes.get('mode') === 'latest') return { kind: 'trail', next }
    const opens = attributes.get('mode') !== 'commit'
    return { kind: 'redirect', next, opensUntil: opens ? Number(attributes.get('until')) : -Infinity }
  }
  return { kind: attributes.has('ended') ? 'tombstone' : 'session' }
}
