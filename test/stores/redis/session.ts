import { randomBytes } from 'node:crypto'
import type { Entry, Store } from '../../../src/store.ts'

export const HOUR = 3_600_000

/** The moment `ms` from now. */
export function soon(ms: number = HOUR): number {
  return Date.now() + ms
}

/** A key as the manager makes them. */
export function randomKey(): string {
  return randomBytes(32).toString('hex')
}

/** A payload with a version of its own. */
export function payload(body = ''): string {
  return `kts1 ${randomBytes(12).toString('base64url')} ${body}`
}

/** A new entry under a new key. */
export async function keep(store: Store, text: string = payload()): Promise<{ key: string; entry: Entry }> {
  const key = randomKey()
  const written = await store.create(key, text, soon())
  if (written === 'exists') throw new Error('the key was taken')
  return { key, entry: written.entry }
}
