/** Text that is HTML already, as opposed to text that has to be escaped. */
export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** What may stand in the holes of {@link html}. Nothing is shown for `undefined` and `false`. */
export type Content = Html | Text | undefined | false | readonly Content[]
type Text = string | number | bigint

/** A piece of HTML; whatever stands in its holes is escaped, unless it is HTML itself. */
export function html(strings: TemplateStringsArray, ...holes: readonly Content[]): Html {
  return new Html(strings.map((string, index) => string + textOf(holes[index])).join(''))
}

function textOf(content: Content): string {
  if (content === undefined || content === false) return ''
  if (content instanceof Html) return content.text
  if (typeof content === 'object') return content.map(textOf).join('')
  return String(content).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
