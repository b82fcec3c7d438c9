import { Buffer } from 'node:buffer'
import type { Entry } from '../../store.ts'

/** What an entry of the cache takes besides its texts, in bytes. */
const OVERHEAD = 300

/**
 * The sessions of the credentials that were opened last. To open a credential is a function of its text and of the keys alone, so
 * it holds for as long as the store does. What else decides whether a session is accepted, its expiry and the list of ended
 * sessions, is asked each time and not kept here.
 *
 * There are two generations: what is used moves to the young one, and when that is full it becomes the old one, and the one
 * before is forgotten.
 */
export class OpenedCredentials {
  readonly #generationBytes: number
  #young = new Map<string, Entry>()
  #old = new Map<string, Entry>()
  #youngBytes = 0

  /** @param maxBytes how much memory the texts may take; 0 keeps nothing */
  constructor(maxBytes: number) {
    this.#generationBytes = maxBytes / 2
  }

  get(credential: string): Entry | undefined {
    const young = this.#young.get(credential)
    if (young !== undefined) return { ...young }
    const old = this.#old.get(credential)
    if (old === undefined) return undefined
    this.#old.delete(credential)
    this.#add(credential, old)
    return { ...old }
  }

  add(credential: string, entry: Entry): void {
    // A part of a header would keep the whole header in memory, however long a client has made it.
    this.#add(Buffer.from(credential, 'latin1').toString('latin1'), { ...entry })
  }

  #add(credential: string, entry: Entry): void {
    const bytes = OVERHEAD + 2 * (credential.length + entry.payload.length)
    if (bytes > this.#generationBytes) return
    if (this.#youngBytes + bytes > this.#generationBytes) {
      this.#old = this.#young
      this.#young = new Map()
      this.#youngBytes = 0
    }
    this.#young.set(credential, entry)
    this.#youngBytes += bytes
  }
}
