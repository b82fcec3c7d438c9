import { sameVersion, type Entry } from '../../store.ts'

/** On text that V8 keeps in one byte per character this fails without looking at it, whatever the length. */
const WIDE = /[\u0100-\uffff]/

/** What is kept of a session: one link in the ring of all, ordered by use. */
export class MemoryEntry {
  readonly key: string
  payload: string
  bytes: number
  expiresAt: number
  older: MemoryEntry = this
  newer: MemoryEntry = this

  constructor(key: string, payload: string, expiresAt: number) {
    this.key = key
    this.payload = payload
    this.bytes = inMemory(payload)
    this.expiresAt = expiresAt
  }

  hold(payload: string, expiresAt: number): void {
    this.payload = payload
    this.bytes = inMemory(payload)
    this.expiresAt = expiresAt
  }

  /** Whether `base` has the version that is kept. Mostly it is the very same string. */
  is(base: Entry): boolean {
    return base.payload === this.payload || sameVersion(base.payload, this.payload)
  }

  /** Takes its place as the one used last. */
  join(ring: MemoryEntry): void {
    this.older = ring.older
    this.newer = ring
    ring.older.newer = this
    ring.older = this
  }

  /** Takes that place again. */
  renew(ring: MemoryEntry): void {
    if (ring.older === this) return
    this.leave()
    this.join(ring)
  }

  leave(): void {
    this.older.newer = this.newer
    this.newer.older = this.older
    this.older = this
    this.newer = this
  }
}

/** Bytes of the text in memory. The search also joins a string that V8 still holds as the pieces it was built from. */
function inMemory(payload: string): number {
  return WIDE.test(payload) ? payload.length * 2 : payload.length
}
