import { versionOf } from '../../store.ts'

/**
 * One state of a stored session. Its name is the name of the only entry in the session's directory and contains everything
 * but the payload. So renaming that entry is a compare-and-swap: of two processes that rename the same generation, one
 * finds it gone. No two generations have the same name, so a generation that is gone never comes back.
 */
export interface Generation {
  /** The payload's version in hex, since a version may contain characters that a file name cannot. */
  readonly version: string
  /** Random; the last part of the payload's file name. */
  readonly nonce: string
  /** The beginning of the payload's SHA-256. */
  readonly checksum: string
  readonly expiresAt: number
  /** Raised to outdate what another process has read, when nothing else changes. */
  readonly turn: number
}

const NAME = /^([0-9a-f]{0,126})\.([0-9a-f]{32})\.([0-9a-f]{16})\.(\d{1,16})\.(\d{1,9})$/

/** The name of a generation, from which {@link generationOf} reads it. */
export function nameOf({ version, nonce, checksum, expiresAt, turn }: Generation): string {
  return `${version}.${nonce}.${checksum}.${expiresAt}.${turn}`
}

/** The generation with this name, or `undefined` if it is no name of a generation. */
export function generationOf(name: string): Generation | undefined {
  const [, version, nonce, checksum, expiresAt, turn] = NAME.exec(name) ?? []
  if (version === undefined || nonce === undefined || checksum === undefined) return undefined
  return { version, nonce, checksum, expiresAt: Number(expiresAt), turn: Number(turn) }
}

/** The version of a payload as a generation holds it. */
export function hexVersionOf(payload: string): string {
  return Buffer.from(versionOf(payload)).toString('hex')
}

/** A time as a name can hold it: whole, not negative, and not before `expiresAt`. */
export function momentOf(expiresAt: number): number {
  return Math.min(Math.max(Math.ceil(expiresAt), 0), Number.MAX_SAFE_INTEGER) || 0
}
