import { SessionError } from '../errors.ts'
import { type Session, textOf } from '../session/session.ts'

/** The keys and values behind a session object: those of the session, or a copy that stayed behind when it was replaced. */
export interface Values {
  get(key: string): unknown
  set(key: string, value: unknown): unknown
  has(key: string): boolean
  delete(key: string): boolean
  keys(): Iterable<string>
}

/**
 * The values of a typed session, with JSON's rules where the session would refuse a value: an instance of a class that is not
 * registered is stored as what `JSON.stringify` makes of it. Within the request it stays what the program has set.
 */
export class SessionObjectValues implements Values {
  readonly #session: Session
  readonly #isPrivate: (key: string, value: unknown) => boolean
  /** What is never stored. */
  #unstored: Map<string, unknown> | undefined
  /** What is stored by JSON's rules, as the program has set it. */
  #degraded: Map<string, unknown> | undefined

  /** @param isPrivate whether the library that is stood in for keeps the value in the request only */
  constructor(session: Session, isPrivate: (key: string, value: unknown) => boolean) {
    this.#session = session
    this.#isPrivate = isPrivate
  }

  get(key: string): unknown {
    if (this.#unstored?.has(key) === true) return this.#unstored.get(key)
    if (this.#degraded?.has(key) === true) return this.#degraded.get(key)
    return this.#session.get(key)
  }

  has(key: string): boolean {
    return this.#unstored?.has(key) === true || this.#degraded?.has(key) === true || this.#session.has(key)
  }

  keys(): Set<string> {
    const keys = new Set(this.#session.keys())
    for (const key of this.#unstored?.keys() ?? []) keys.add(key)
    for (const key of this.#degraded?.keys() ?? []) keys.add(key)
    return keys
  }

  set(key: string, value: unknown): void {
    if (this.#isPrivate(key, value)) {
      this.delete(key)
      this.#unstored = (this.#unstored ?? new Map<string, unknown>()).set(key, value)
      return
    }
    try {
      this.#session.set(key, value)
      this.#degraded?.delete(key)
    } catch (error) {
      if (!isRefusedValue(error)) throw error
      this.#storeByJson(key, value, error)
    }
    this.#unstored?.delete(key)
  }

  delete(key: string): boolean {
    const wasUnstored = this.#unstored?.delete(key) ?? false
    const wasDegraded = this.#degraded?.delete(key) ?? false
    return this.#session.delete(key) || wasUnstored || wasDegraded
  }

  /** The stored values, as an object of its own. */
  toObject(): Record<string, unknown> {
    const keys = [...new Set([...this.#session.keys(), ...(this.#degraded?.keys() ?? [])])]
    return Object.fromEntries(keys.map((key) => [key, this.get(key)]))
  }

  /** Before a commit: what was changed in place, among the values that are stored by JSON's rules. */
  degradeAgain(): void {
    for (const [key, value] of this.#degraded ?? []) this.#storeByJson(key, value, undefined)
  }

  /**
   * After a commit that was refused because of a value: stores by JSON's rules what was changed in place to what cannot be stored.
   *
   * @returns whether there was such a value
   */
  degradeRefused(): boolean {
    let isAny = false
    for (const key of this.#session.keys()) {
      if (this.#degraded?.has(key) === true) continue
      try {
        textOf(this.#session, key)
      } catch (error) {
        if (!isRefusedValue(error)) throw error
        this.#storeByJson(key, this.#session.get(key), error)
        isAny = true
      }
    }
    return isAny
  }

  /** Stores all that cannot be stored otherwise by JSON's rules. */
  degradeAll(): void {
    this.degradeAgain()
    this.degradeRefused()
  }

  /** @param refusal why the value itself is not stored, to be thrown where JSON has no text for it either */
  #storeByJson(key: string, value: unknown, refusal: unknown): void {
    let text: string | undefined
    try {
      text = JSON.stringify(value) as string | undefined // of a symbol, for instance
    } catch (error) {
      throw refusal ?? error
    }
    this.#degraded = (this.#degraded ?? new Map<string, unknown>()).set(key, value)
    if (text === undefined) this.#session.delete(key)
    else this.#session.set(key, JSON.parse(text))
  }
}

export function isRefusedValue(error: unknown): boolean {
  return error instanceof SessionError && error.code === 'ERR_SESSION_VALUE'
}
