/** A text that is HTML, as opposed to plain text, which has to be escaped. */
export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** The values that can be interpolated in {@link html}. `undefined` and `false` render as nothing. */
export type Content = Html | Text | undefined | false | readonly Content[]
type Text = string | number | bigint

/** Tag for HTML templates. Escapes interpolated values, unless they are {@link Html}. */
export function html(strings: TemplateStringsArray, ...values: readonly Content[]): Html {
  return new Html(strings.map((string, index) => string + textOf(values[index])).join(''))
}

function textOf(content: Content): string {
  if (content === undefined || content === false) return ''
  if (content instanceof Html) return content.text
  if (typeof content === 'object') return content.map(textOf).join('')
  return String(content).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
