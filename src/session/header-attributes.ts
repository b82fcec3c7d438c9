import { createHandle, HANDLE, handleIn } from './handle.ts'

/**
 * The attributes in the header of a session's payload: the stored ones, and one request's changes to them. Every payload that
 * is written holds the session's handle.
 */
export class HeaderAttributes {
  #stored: ReadonlyMap<string, string>
  #changed: ReadonlyMap<string, string | undefined> = nothing
  /** The changes that are part of the payload being written, and the attributes with them. */
  #sent: ReadonlyMap<string, string | undefined> = nothing
  #written: ReadonlyMap<string, string>
  #handle: string | undefined

  constructor(stored: ReadonlyMap<string, string>) {
    this.#stored = stored
    this.#written = stored
    this.#handle = undefined
  }

  get(name: string): string | undefined {
    return this.#changed.has(name) ? this.#changed.get(name) : this.#stored.get(name)
  }

  /** `undefined` deletes the attribute. */
  set(name: string, value: string | undefined): void {
    this.#changed = new Map(this.#changed).set(name, value)
  }

  /** Takes back this request's changes of some attributes. */
  forget(names: readonly string[]): void {
    const changes = new Map(this.#changed)
    for (const name of names) changes.delete(name)
    this.#changed = changes
  }

  /** The session's handle. One that has none yet gets one, which the next payload holds. */
  get handle(): string {
    return (this.#handle ??= handleIn(this.#stored) ?? createHandle())
  }

  /** Whether this request's changes differ from what is stored. */
  get differ(): boolean {
    for (const [name, value] of this.#changed) if (this.#stored.get(name) !== value) return true
    return false
  }

  /** The attributes of the next payload, with the changes `own` in this payload only. */
  write(own?: ReadonlyMap<string, string | undefined>): ReadonlyMap<string, string> {
    const stored = this.#stored.has(HANDLE) ? this.#stored : new Map([...this.#stored, [HANDLE, this.handle]])
    this.#sent = this.#changed
    const all = this.#changed.size === 0 ? stored : changed(stored, this.#changed)
    this.#written = own === undefined ? all : changed(all, own)
    return this.#written
  }

  /** The attributes of the last {@link write} are stored. */
  settle(): void {
    this.#stored = this.#written
    if (this.#changed === this.#sent) this.#changed = nothing
  }

  /** Another request has stored these attributes; this request's changes are still to be written. */
  rebase(stored: ReadonlyMap<string, string>): void {
    this.#stored = stored
    this.#written = stored
    this.#handle = undefined
  }
}

const nothing: ReadonlyMap<string, string | undefined> = new Map()

function changed(
  stored: ReadonlyMap<string, string>,
  changes: ReadonlyMap<string, string | undefined>,
): ReadonlyMap<string, string> {
  const all = new Map(stored)
  for (const [name, value] of changes) {
    if (value === undefined) all.delete(name)
    else all.set(name, value)
  }
  return all
}
