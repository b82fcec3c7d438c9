/** Where the command writes, and whether a person reads there. */
export interface Terminal {
  readonly out: { write(text: string): unknown }
  readonly err: { write(text: string): unknown; readonly isTTY?: boolean }
}

/** What a terminal would obey instead of showing: control characters, and what turns the direction of text. */
// oxlint-disable-next-line no-control-regex -- these are what is looked for
const COMMANDS = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/gu

/** Text of users, such as a label, as one line that a terminal only shows. */
export function plain(text: string): string {
  return text.replace(COMMANDS, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** A table of text, with a line for each row. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows].map((row) => row.map(plain))
  const widths = head.map((_name, at) => Math.max(...all.map((row) => row[at]?.length ?? 0)))
  return all
    .map(
      (row) =>
        `${row
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}

/** A moment in ms since the epoch, as text. */
export function moment(ms: number): string {
  return Number.isFinite(ms) && Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : 'never'
}

/** Shows how far a long operation is, where a person looks, on one line that is removed at its end. */
export class Progress {
  readonly #err: Terminal['err']
  #isShown = false

  constructor({ err }: Terminal) {
    this.#err = err
  }

  show(text: string): void {
    if (this.#err.isTTY !== true) return
    this.#err.write(`\r\u001b[K${plain(text)}`)
    this.#isShown = true
  }

  end(): void {
    if (this.#isShown) this.#err.write('\r\u001b[K')
    this.#isShown = false
  }
}

/** What a command has found: for programs, for people, and whether it is what was hoped for (exit code 0) or not (1). */
export interface Result {
  readonly json: Readonly<Record<string, unknown>>
  readonly text: string
  readonly ok: boolean
}
