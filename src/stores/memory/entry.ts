import { sameVersion, type Entry } from '../../store.ts'

/** Matches wide characters. On text that V8 stores with one byte per character it fails at once, whatever the length. */
const WIDE = /[\u0100-\uffff]/

/** A session in memory: a link in a ring of sessions, which is ordered by use. */
export class MemoryEntry {
  readonly key: string
  payload: string
  bytes: number
  expiresAt: number
  /** Whether it was read since it was created: its client has come back. */
  hasReturned = false
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

  /** Whether `base` has the stored version. In most cases it is the same string. */
  is(base: Entry): boolean {
    return base.payload === this.payload || sameVersion(base.payload, this.payload)
  }

  /** Enters the ring as the most recently used one. */
  join(ring: MemoryEntry): void {
    this.older = ring.older
    this.newer = ring
    ring.older.newer = this
    ring.older = this
  }

  /** Becomes the most recently used one again. */
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

/** The bytes of the text in memory. The search also flattens a string that V8 still holds as a tree of concatenations. */
function inMemory(payload: string): number {
  return WIDE.test(payload) ? payload.length * 2 : payload.length
}
