/** The attributes in the header of a session's payload: what is stored, and what one request changes. */
export class HeaderAttributes {
  #stored: ReadonlyMap<string, string>
  #changed: ReadonlyMap<string, string | undefined> = nothing
  /** What is part of the payload under way: the changes, and what the attributes are with them. */
  #sent: ReadonlyMap<string, string | undefined> = nothing
  #written: ReadonlyMap<string, string>

  constructor(stored: ReadonlyMap<string, string>) {
    this.#stored = stored
    this.#written = stored
  }

  get(name: string): string | undefined {
    return this.#changed.has(name) ? this.#changed.get(name) : this.#stored.get(name)
  }

  /** `undefined` for an attribute that is to go. */
  set(name: string, value: string | undefined): void {
    this.#changed = new Map(this.#changed).set(name, value)
  }

  /** Whether this request's changes make a difference to what is stored. */
  get differ(): boolean {
    for (const [name, value] of this.#changed) if (this.#stored.get(name) !== value) return true
    return false
  }

  /** The attributes of the next payload, with one that is this payload's own. */
  write(own?: readonly [name: string, value: string]): ReadonlyMap<string, string> {
    this.#sent = this.#changed
    const all = this.#changed.size === 0 ? this.#stored : changed(this.#stored, this.#changed)
    this.#written = own === undefined ? all : new Map([...all, own])
    return this.#written
  }

  /** What {@link write} told is stored. */
  settle(): void {
    this.#stored = this.#written
    if (this.#changed === this.#sent) this.#changed = nothing
  }

  /** Somebody else has stored these; ours are still to come. */
  rebase(stored: ReadonlyMap<string, string>): void {
    this.#stored = stored
    this.#written = stored
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
