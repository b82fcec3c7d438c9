/** What a simulation checks, the most severe first. */
export const invariants = {
  ended: 'a session that has ended is never found, and nothing brings it back',
  fenced: 'what began before a regenerate stores nothing and learns nothing, and its ID opens nothing',
  single: 'a session lives under one ID',
  claimed: 'a claimed value goes to one request',
  refused: 'a change that the rules refuse is not stored',
  counted: 'counters are exact',
  deleted: 'a deleted key comes back only by a change that had not read it',
  preserved: 'no acknowledged change is lost',
  replayed: 'a commit is the log of its request, replayed on the newest state',
  seen: 'a request sees what was stored, and its own changes',
  told: 'what a request is told is true',
  served: 'a request fails only if the store did or the rules refuse it',
  bounded: 'an operation takes a bounded number of calls',
  modelled: 'the store answers as its model does',
} as const

export type Invariant = keyof typeof invariants

/** The story of one simulation, step by step, and which invariants did not hold in it. */
export class Violations {
  readonly #lines: string[] = []
  readonly #wrongs: { readonly invariant: Invariant; readonly detail: string }[] = []

  /** Adds a step to the story. */
  tell(who: string, what: string): void {
    this.#lines.push(`${who}  ${what}`)
  }

  wrong(invariant: Invariant, detail: string): void {
    this.#wrongs.push({ invariant, detail })
    this.#lines.push(`!  ${invariants[invariant]}: ${detail}`)
  }

  /** The invariants that did not hold, the most severe first. */
  get broken(): readonly Invariant[] {
    const order = Object.keys(invariants)
    return this.#wrongs
      .map(({ invariant }) => invariant)
      .toSorted((one, other) => order.indexOf(one) - order.indexOf(other))
  }

  /** The most severe violation, and the story that led to it. */
  report(): string {
    const [worst] = this.broken
    const wrong = this.#wrongs.find(({ invariant }) => invariant === worst)
    const title =
      wrong === undefined ? 'every invariant holds' : `${invariants[wrong.invariant]}: ${wrong.detail}`
    const width = String(this.#lines.length).length
    return [title, ...this.#lines.map((line, at) => `${String(at + 1).padStart(width)}  ${line}`)].join('\n')
  }
}
