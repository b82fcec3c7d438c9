import { versionOf } from '../../store.ts'

/**
 * What a stored session is at one moment. Its name is the one entry in the session's directory and says everything but
 * the payload, so renaming that entry is a compare-and-swap: of two who rename the same generation, one finds it gone.
 * No two generations ever share a name, so one that is gone does not come back.
 */
export interface Generation {
  /** The payload's version in hex, for a version may hold what a file name cannot. */
  readonly version: string
  /** Random, the last part of the payload's file name. */
  readonly nonce: string
  /** The beginning of the payload's SHA-256. */
  readonly checksum: string
  readonly expiresAt: number
  /** Raised to put out of date what somebody read, when nothing else changes. */
  readonly turn: number
}

export const NONCE: RegExp = /^[0-9a-f]{32}$/

const NAME = /^([0-9a-f]{0,126})\.([0-9a-f]{32})\.([0-9a-f]{16})\.(\d{1,16})\.(\d{1,9})$/

export function nameOf({ version, nonce, checksum, expiresAt, turn }: Generation): string {
  return `${version}.${nonce}.${checksum}.${expiresAt}.${turn}`
}

/** The generation of that name, or `undefined` if the name is none of ours. */
export function generationOf(name: string): Generation | undefined {
  const [, version, nonce, checksum, expiresAt, turn] = NAME.exec(name) ?? []
  if (version === undefined || nonce === undefined || checksum === undefined) return undefined
  return { version, nonce, checksum, expiresAt: Number(expiresAt), turn: Number(turn) }
}

/** The version of a payload as a generation holds it. */
export function hexVersionOf(payload: string): string {
  return Buffer.from(versionOf(payload)).toString('hex')
}

/** A moment as a name can hold it: whole, not negative, and never before the one that was asked for. */
export function momentOf(expiresAt: number): number {
  return Math.min(Math.max(Math.ceil(expiresAt), 0), Number.MAX_SAFE_INTEGER) || 0
}
