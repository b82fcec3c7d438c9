import { SessionError } from '../errors.ts'
import type { Registry } from '../registry.ts'
import { Decoder } from './decoder.ts'
import { Encoder } from './encoder.ts'
import { exceeds, type Limits } from './limits.ts'
import { renderPath } from './path.ts'
import { parseJson, parsePlain } from './parse.ts'
import { isPlain } from './plain.ts'
import { findDifference } from './same.ts'

/**
 * Turns one value into a line of text and back.
 *
 * ```text
 * J <value>                      plain JSON
 * T [types,<value>]              what JSON has no words for, as a tree
 * S [leaves,types,<value>]       … as a graph, and with what superjson knows; verified when it is written
 * ```
 *
 * In T and S a value is:
 *
 * | text | value |
 * | --- | --- |
 * | `null` `true` `1` `"text"` | itself |
 * | `{"name":…}` | a plain object |
 * | `[[…]]` | an array; `["hole"]` in it is a hole |
 * | `[0,…]` | an instance of the class `types[0]`, its fields in order, or what its `encode` returned |
 * | `["undefined"]` `["number","NaN"]` `["bigint","-ff"]` | what it says; a bigint is hexadecimal |
 * | `["Date",0]` `["Date",null]` | a Date, an invalid one |
 * | `["Map",k,v,…]` `["Set",m,…]` | with its members in order |
 * | `["Uint8Array","…"]` `["Buffer","…"]` | bytes in base64url |
 * | `["null",{…}]` | an object without a prototype |
 * | `["Error",name,{hidden},{shown}]` | an error of the language, without its stack (S) |
 * | `["leaf",0]` | what superjson keeps at that position of `leaves` (S) |
 * | `["ref",0]` | the object that was met as that many-th (S) |
 *
 * An array is always a word of this grammar, and a string or an object never is: no data can be taken for a word.
 * `types` names each class once: `["Cart",1,["items","since"]]` is its name, its version and its fields, `null` if it
 * has an `encode`.
 *
 * What is kept is the value as a program sees it. Not part of it are: whether objects are frozen, property flags, the
 * stacks of errors, and which larger memory a view on bytes stands on.
 */
export class ValueCodec {
  readonly #registry: Registry
  readonly #limits: Limits

  constructor(registry: Registry, limits: Limits) {
    this.#registry = registry
    this.#limits = limits
  }

  /**
   * The line for a value: `J 4711`. Equal values make equal lines.
   *
   * @throws SessionError `ERR_SESSION_VALUE` with the path of the part that would not come back as it is, beginning
   *   with `key`; `ERR_SESSION_LIMIT` if the value is over a budget.
   */
  encode(value: unknown, key: string): string {
    const line = this.#line(value, key)
    if (exceeds(line, this.#limits.keyBytes))
      throw new SessionError(
        'ERR_SESSION_LIMIT',
        `${renderPath(key, [])}: the value has more bytes than its limit`,
      )
    return line
  }

  /**
   * The value of a line. Nothing in the line is trusted.
   *
   * @throws SessionError `ERR_SESSION_DECODE`, and nothing else: a class is unknown here or of a newer version, or the
   *   text is damaged or over a budget.
   */
  decode(line: string, key: string): unknown {
    try {
      return this.#read(line)
    } catch (error) {
      // Only what a function of the program's own threw is told as a cause: other errors may quote the text.
      const why = error instanceof SessionError ? error.message : 'its text is damaged'
      const cause = error instanceof SessionError ? error.cause : undefined
      throw new SessionError(
        'ERR_SESSION_DECODE',
        `${renderPath(key, [])} cannot be decoded: ${why}`,
        cause === undefined ? {} : { cause },
      )
    }
  }

  #line(value: unknown, key: string): string {
    if (isPlain(value, this.#limits)) return `J ${JSON.stringify(value)}`
    const { form, text } = new Encoder(this.#registry, this.#limits, key).encode(value)
    const line = `${form} ${text}`
    if (form === 'S') this.#verify(value, line, key)
    return line
  }

  /** What is written with the help of others is read at once: it comes back the same, or it is refused. */
  #verify(value: unknown, line: string, key: string): void {
    let difference
    try {
      difference = findDifference(value, this.#read(line), this.#registry)
    } catch (cause) {
      throw new SessionError('ERR_SESSION_VALUE', `${renderPath(key, [])}: it would not come back`, { cause })
    }
    if (difference !== undefined)
      throw new SessionError(
        'ERR_SESSION_VALUE',
        `${renderPath(key, difference)}: it would come back as something else`,
      )
  }

  #read(line: string): unknown {
    if (exceeds(line, this.#limits.keyBytes))
      throw new SessionError('ERR_SESSION_DECODE', 'it is larger than its limit of bytes')
    const form = line.slice(0, 2)
    const text = line.slice(2)
    if (form === 'J ') return parsePlain(text, this.#limits)
    if (form === 'T ' || form === 'S ') {
      const json = parseJson(text, this.#limits)
      return new Decoder(this.#registry, this.#limits).decode(form === 'T ' ? 'T' : 'S', json)
    }
    throw new SessionError('ERR_SESSION_DECODE', 'its form is not known here')
  }
}
