import { randomBytes } from 'node:crypto'
import { VERSION_LENGTH } from '../../store.ts'

/** What one of two stores holds under a key, besides entries: a note about where the entry is, which no program outside sees. */
export type Marker =
  | StagedCopy
  | MovedNote
  | Claim
  /** It cannot be read. It says nothing, and may be overwritten. */
  | { readonly kind: 'unreadable' }

/** A copy of an entry that the other store still has. It becomes the entry when the other store says so by a {@link MovedNote}. */
export interface StagedCopy {
  readonly kind: 'staged'
  readonly payload: string
}

/** In the place of an entry that has moved to the other store. To write it is what moves the entry. */
export interface MovedNote {
  readonly kind: 'moved'
  /** The version of the {@link StagedCopy} that is the entry from now on. No other copy is. */
  readonly copy: string
  /** The version of the entry when it moved. */
  readonly version: string
  /** Until when the entry was to live, in ms since the epoch. */
  readonly expiresAt: number
  /** When it moved, in ms since the epoch. */
  readonly movedAt: number
}

/** Says that a process is about to create the entry in the other store. Of two claims the one that comes first counts. */
export interface Claim {
  readonly kind: 'claim'
  readonly rank: number
}

/** Entries begin with `kts1`, whether they are sealed or not. */
const HEAD = 'ktsm '
const STAGED = ' C '
const MOVED = /^ M ([ -~]{21}) ([ -~]{21}) (\d{1,16}) (\d{1,16})$/
const CLAIM = /^ R (-?\d{1,15})$/

/** How many bytes a {@link StagedCopy} is longer than its payload. */
export const STAGED_BYTES: number = VERSION_LENGTH + STAGED.length

/** Whether a stored payload is an entry, not a marker. */
export function isPlain(payload: string): boolean {
  return !payload.startsWith(HEAD)
}

/** The marker in a payload; `undefined` if it is an entry. */
export function markerIn(payload: string): Marker | undefined {
  if (isPlain(payload)) return undefined
  const rest = payload.slice(VERSION_LENGTH)
  if (rest.startsWith(STAGED)) return { kind: 'staged', payload: rest.slice(STAGED.length) }
  const [isMoved, copy = '', version = '', expiresAt, movedAt] = MOVED.exec(rest) ?? []
  if (isMoved !== undefined)
    return { kind: 'moved', copy, version, expiresAt: Number(expiresAt), movedAt: Number(movedAt) }
  const [isClaim, rank] = CLAIM.exec(rest) ?? []
  return isClaim === undefined ? { kind: 'unreadable' } : { kind: 'claim', rank: Number(rank) }
}

/** The payload of a {@link StagedCopy}. */
export function stagedPayload(payload: string): string {
  return createHead() + STAGED + payload
}

/** The payload of a {@link MovedNote}. */
export function movedPayload({ copy, version, expiresAt, movedAt }: Omit<MovedNote, 'kind'>): string {
  return `${createHead()} M ${copy} ${version} ${Math.ceil(expiresAt)} ${Math.floor(movedAt)}`
}

/** The payload of a {@link Claim}. */
export function claimPayload(rank: number): string {
  return `${createHead()} R ${rank}`
}

/** The version of a marker: unique, so that stores compare and swap markers as they do entries. */
function createHead(): string {
  return HEAD + randomBytes(12).toString('base64url')
}
