import { SessionError } from '../../errors.ts'
import type { Registry } from '../../registry.ts'
import { Decoder } from './decoder.ts'
import { Encoder } from './encoder.ts'
import { readLeaves } from './superjson.ts'
import { exceeds, type Limits } from '../limits.ts'
import { hasEscapedName } from './names.ts'
import { renderPath, Trail } from './path.ts'
import { parseJson, parsePlain } from './safe-parse.ts'
import { isPlain } from './plain-json.ts'
import { findDifference } from './deep-equal.ts'
import { readTypes, type Type } from './type-table.ts'
import { damaged } from './tokens.ts'

const MOST_TABLES = 100
const LONGEST_TABLE = 4_096
const NO_TYPES: readonly Type[] = []

/**
 * Turns one value into a line of text and back.
 *
 * ```text
 * J <value>                            plain JSON
 * T <types>\t<value>                   what JSON has no text for
 * S <leaves>\t<types>\t<value>         … with shared parts, errors, or what superjson knows; verified when written
 * ```
 *
 * In T and S, too, a value is JSON, with a few tokens. A token is a string with `~` in front; a string of the program's
 * that begins so is written with another `~`, so that no data can be taken for a token.
 *
 * | text | value |
 * | --- | --- |
 * | `null` `true` `1` `"text"` `{…}` `[…]` | itself |
 * | `["~0",…]` | an instance of the class `types[0]`: its fields in order, or what its `encode` returned |
 * | `["~Map",k,v,…]` `["~Set",m,…]` | a Map or Set, its members in order |
 * | `"~…":` as a name | a name that JSON would escape, its UTF-16 in base64url |
 * | `["~Null",{…}]` | an object without a prototype |
 * | `["~Error",name,{hidden},{shown}]` | an error of the language, without its stack (S) |
 * | `"~"` `"~h"` | undefined; a hole in an array |
 * | `"~fNaN"` `"~f-0"` `"~fInfinity"` | numbers that JSON cannot tell |
 * | `"~n-ff"` | a bigint, hexadecimal |
 * | `"~d1760000000000"` `"~d"` | a Date; an invalid one |
 * | `"~bAQI"` `"~uAQI"` | a Buffer; a Uint8Array; in base64url |
 * | `"~r0"` | the object that was met as the first (S) |
 * | `"~s0"` | what superjson keeps as the first of `leaves` (S) |
 *
 * `types` names each class once: `["Cart",1,["items","since"]]` is its name, its version and its fields; `null` instead
 * of fields if its `encode` wrote it.
 *
 * What is kept is the value as a program sees it. Not part of it are: whether objects are frozen, property flags, the
 * stacks of errors, and which larger memory a view on bytes stands on.
 */
export class ValueCodec {
  readonly #registry: Registry
  readonly #limits: Limits
  readonly #tables = new Map<string, readonly Type[]>()

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
    try {
      return this.#write(value, key)
    } catch (error) {
      if (error instanceof SessionError) throw error
      throw new Trail(key).failed('it cannot be kept', error)
    }
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

  #write(value: unknown, key: string): string {
    const plain = isPlain(value, this.#limits) ? JSON.stringify(value) : undefined
    const line =
      plain === undefined || hasEscapedName(plain)
        ? new Encoder(this.#registry, this.#limits, key).encode(value)
        : `J ${plain}`
    if (exceeds(line, this.#limits.keyBytes)) throw new Trail(key).exceeded('bytes')
    if (line.startsWith('S')) this.#verify(value, line, new Trail(key))
    return line
  }

  /** What is written with the help of others is read at once: it comes back the same, or it is refused. */
  #verify(value: unknown, line: string, trail: Trail): void {
    let difference
    try {
      difference = findDifference(value, this.#read(line), this.#registry)
    } catch (cause) {
      throw trail.failed('it would not come back', cause)
    }
    if (difference === undefined) return
    for (const step of difference) trail.enter(step)
    throw trail.refused('it would come back as something else')
  }

  #read(line: string): unknown {
    if (exceeds(line, this.#limits.keyBytes))
      throw new SessionError('ERR_SESSION_DECODE', 'it is larger than its limit of bytes')
    switch (line.slice(0, 2)) {
      case 'J ':
        return parsePlain(line.slice(2), this.#limits)
      case 'T ':
        return this.#readTree(line.slice(2))
      case 'S ': {
        const end = line.indexOf('\t')
        const leaves = line.slice(2, end)
        const read = leaves === '' ? [] : readLeaves(parseJson(leaves, this.#limits))
        return this.#readTree(line.slice(end + 1), read)
      }
      default:
        throw damaged()
    }
  }

  #readTree(text: string, leaves?: readonly unknown[]): unknown {
    const end = text.indexOf('\t')
    if (end === -1) throw damaged()
    const types = this.#types(text.slice(0, end))
    const tree = parseJson(text.slice(end + 1), this.#limits)
    return new Decoder(this.#limits, types, leaves).decode(tree)
  }

  /** A program writes the same few tables over and over, so what was read lately is not read again. */
  #types(table: string): readonly Type[] {
    if (table === '') return NO_TYPES
    const known = this.#tables.get(table)
    if (known !== undefined) return known
    const types = readTypes(parseJson(table, this.#limits), this.#registry)
    if (table.length > LONGEST_TABLE) return types
    if (this.#tables.size === MOST_TABLES) this.#tables.clear()
    this.#tables.set(table, types)
    return types
  }
}
