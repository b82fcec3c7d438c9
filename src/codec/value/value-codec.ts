import { SessionError } from '../../errors.ts'
import { exceeds, type Limits } from '../limits.ts'
import type { ClassPlans } from './class-plan.ts'
import { Decoder } from './decoder.ts'
import { findDifference } from './deep-equal.ts'
import { Encoder } from './encoder.ts'
import { renderPath, Trail } from './path.ts'
import { isPlain, isPlainScalar } from './plain-json.ts'
import { parseJson, parsePlain } from './safe-parse.ts'
import { LeafBudget, MOST_NAMES_OF_LEAVES, readLeaves } from './superjson.ts'
import { damaged, hasEscapedName } from './tokens.ts'
import { readTypes, type Type } from './type-table.ts'

const MAX_TABLES = 100
const MAX_TABLE_LENGTH = 4_096
const NO_TYPES: readonly Type[] = []

/**
 * Encodes one value as a line of text, and decodes it.
 *
 * ```text
 * J <value>                            plain JSON
 * T <types>\t<value>                   values that JSON cannot represent
 * S <leaves>\t<types>\t<value>         also shared references, errors, and what superjson writes; verified when written
 * ```
 *
 * In T and S the value is JSON with tokens: strings that begin with `~`. A string of the program that begins with `~` is
 * written with a second one in front, so no data is mistaken for a token.
 *
 * | text | value |
 * | --- | --- |
 * | `null` `true` `1` `"text"` `{…}` `[…]` | itself |
 * | `["~0",…]` | an instance of the class `types[0]`: its fields in order, or what its `encode` returned |
 * | `["~Map",k,v,…]` `["~Set",m,…]` | a Map or Set, its members in order |
 * | `"~…":` as a name | a property name that JSON would escape: its UTF-16 in base64url |
 * | `["~Null",{…}]` | an object without a prototype |
 * | `["~Error",name,{hidden},{shown}]` | a built-in error without its stack (S) |
 * | `"~"` `"~h"` | undefined; a hole in an array |
 * | `"~fNaN"` `"~f-0"` `"~fInfinity"` | numbers that JSON has no text for |
 * | `"~n-ff"` | a bigint, hexadecimal |
 * | `"~d1760000000000"` `"~d"` | a Date; an invalid one |
 * | `"~bAQI"` `"~uAQI"` | a Buffer; a Uint8Array; in base64url |
 * | `"~r0"` | the first object in the order of encoding (S) |
 * | `"~s0"` | the first of the `leaves`, which superjson writes (S) |
 *
 * `types` has one entry per class and list of fields: `["Cart",1,["items","since"]]` is name, version and fields; `null`
 * instead of the fields if the class's own `encode` wrote the instances.
 *
 * A decoded value equals the encoded one in everything but this: whether objects are frozen, property flags, the stacks of
 * errors, and the buffer behind a typed array.
 */
export class ValueCodec {
  readonly #plans: ClassPlans
  readonly #limits: Limits
  readonly #tables = new Map<string, readonly Type[]>()
  #addedFields = false
  #hasForeignParts = false

  constructor(plans: ClassPlans, limits: Limits) {
    this.#plans = plans
    this.#limits = limits
  }

  /**
   * Encodes a value as a line, such as `J 4711`. Equal values make equal lines.
   *
   * @throws SessionError `ERR_SESSION_VALUE` with the path of the part that would not come back unchanged, beginning
   *   with `key`; `ERR_SESSION_LIMIT` if the value exceeds a limit.
   */
  encode(value: unknown, key: string): string {
    try {
      return this.#write(value, key)
    } catch (error) {
      if (error instanceof SessionError) throw error
      throw new Trail(key).failed('it cannot be stored', error)
    }
  }

  /** Whether the value that was decoded last has fields that the `defaults` of a class have added. */
  get addedFields(): boolean {
    return this.#addedFields
  }

  /**
   * Whether the value that was decoded last is of form S, or has parts that functions of the program have made: by a `decode`,
   * `upgrade` or `defaults`. The program may hold these elsewhere, so they must not be frozen.
   */
  get hasForeignParts(): boolean {
    return this.#hasForeignParts
  }

  /**
   * Decodes a line. The line need not be trusted.
   *
   * @throws SessionError `ERR_SESSION_DECODE`, and no other error, if a class is not registered or of a newer version, or
   *   the text is damaged or exceeds a limit.
   */
  decode(line: string, key: string): unknown {
    this.#addedFields = false
    this.#hasForeignParts = false
    try {
      return this.#read(line)
    } catch (error) {
      // Only errors thrown by functions of the program become the cause. Others may quote the stored text.
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
    const isScalar = isPlainScalar(value)
    const plain = isScalar || isPlain(value, this.#limits) ? JSON.stringify(value) : undefined
    const line =
      plain !== undefined && (isScalar || !hasEscapedName(plain))
        ? `J ${plain}`
        : new Encoder(this.#plans, this.#limits, key).encode(value)
    if (exceeds(line, this.#limits.keyBytes)) throw new Trail(key).exceeded('bytes')
    if (line.startsWith('S')) this.#verify(value, line, new Trail(key))
    return line
  }

  /** Decodes a line of form S at once and refuses the value if it came back different. */
  #verify(value: unknown, line: string, trail: Trail): void {
    let difference
    try {
      difference = findDifference(value, this.#read(line), this.#plans)
    } catch (cause) {
      throw trail.failed('it would not come back', cause)
    }
    if (difference === undefined) return
    for (const step of difference) trail.enter(step)
    throw trail.refused('it would come back as a different value')
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
        const read = leaves === '' ? [] : this.#leaves(leaves)
        return this.#readTree(line.slice(end + 1), read)
      }
      default:
        throw damaged()
    }
  }

  #leaves(text: string): readonly unknown[] {
    return readLeaves(
      parseJson(text, this.#limits, MOST_NAMES_OF_LEAVES),
      new LeafBudget(this.#plans.allowsRegExps),
    )
  }

  #readTree(text: string, leaves?: readonly unknown[]): unknown {
    const end = text.indexOf('\t')
    if (end === -1) throw damaged()
    const types = this.#types(text.slice(0, end))
    const tree = parseJson(text.slice(end + 1), this.#limits)
    const decoder = new Decoder(this.#limits, types, leaves)
    const value = decoder.decode(tree)
    this.#addedFields = decoder.hasDefaults
    this.#hasForeignParts = decoder.hasForeignParts
    return value
  }

  /** The type table of a line. A program writes the same few tables again and again, so they are remembered. */
  #types(table: string): readonly Type[] {
    if (table === '') return NO_TYPES
    const known = this.#tables.get(table)
    if (known !== undefined) return known
    const types = readTypes(parseJson(table, this.#limits), this.#plans)
    if (table.length > MAX_TABLE_LENGTH) return types
    if (this.#tables.size === MAX_TABLES) this.#tables.clear()
    this.#tables.set(table, types)
    return types
  }
}
