import { types } from 'node:util'
import type { ClassPlan, Merge } from '../codec/value/class-plan.ts'
import { define } from '../codec/value/own-properties.ts'
import { renderPath, type Step } from '../codec/value/path.ts'

export type { Merge, MergeFunction } from '../codec/value/class-plan.ts'

// What one merge may cost. Two changes that take more are a conflict, so that a large value cannot block the process.
const MOST_PARTS = 10_000 // fields, entries, members and items of all three versions
const MOST_TEXT = 4_194_304 // UTF-16 units of text that is encoded to compare them
const MOST_CELLS = 250_000 // of the tables in which the differences between arrays are found

/** What a merge needs of the codec and the registry. */
export interface MergeTools {
  /** The text of a value. Two values are equal if their texts are. */
  encode(value: unknown, key: string): string
  /** The merge of the value's class, if it has one. */
  mergeOf(value: unknown): Merge | undefined
  /** How instances with this prototype are kept, if their class is registered. */
  planOf(prototype: object): ClassPlan | undefined
}

export type MergeResult =
  /** `undo` restores `mine`, except for what a merge function did to it. */
  | { readonly merged: true; readonly value: unknown; readonly undo: () => void }
  /** `reason` is a clause that names fields, but no values: `both requests changed cart.coupon`. */
  | { readonly merged: false; readonly reason: string }

/**
 * Three-way merge of a value that two requests have changed. `base` is the value that both began with, `undefined` if there
 * was none; `mine` is this request's value, and `theirs` the one that is stored now.
 *
 * - A function decides alone: its result is the value. That of a class is called only with instances of the class.
 * - `'fields'`, for plain objects and instances of registered classes without `encode`: a field that one side added,
 *   deleted or replaced keeps that change. A field that both sides changed is a conflict, unless its value is of a class
 *   with a merge of its own, which then decides. It is a conflict even if both gave it the same value: when two requests
 *   each count from 1 to 2, one of them is lost.
 * - `'items'` for a Map is the same by key.
 * - `'items'` for a Set: a member that either side added is in the result, and one that either side deleted is not. That
 *   both did the same is no conflict: a member is in a Set or not, however often it was added. It is a conflict only if
 *   both sides deleted an equal object and one of them added an object: that may be the same one, changed in place.
 * - `'items'` for an array: runs of items that either side inserted, deleted or replaced. Of two insertions at one place
 *   both are kept, `theirs` first. It is a conflict if both sides deleted or replaced an equal item, or if one inserted
 *   items inside a run that the other replaced.
 *
 * Without a base, both sides have added everything that they have: a field or entry that both have is a conflict even if it
 * is equal, Sets are united, and arrays are joined. If `base` is of another class than the two, both have replaced it,
 * which is a conflict. If only one side differs from `base`, that side's value is the result.
 *
 * The result is written into `mine`, which the program may still hold; parts that only the other side changed are moved
 * there from `theirs`. It is a new object if `mine` is frozen or sealed, or if it is a collection of a registered class,
 * which `decode` makes. On a conflict, or if a function of the program throws, the merge has changed nothing. It never
 * changes `base` and `theirs`.
 *
 * A value that holds one object in two places is not merged by parts, since these could become two objects.
 *
 * @throws what a merge function, an `encode` or a `decode` of the program throws
 */
export function merge(
  rule: Merge,
  key: string,
  base: unknown,
  mine: unknown,
  theirs: unknown,
  tools: MergeTools,
): MergeResult {
  try {
    return new ThreeWayMerge(key, tools).merge(rule, { base, mine, theirs })
  } catch (error) {
    if (error instanceof Conflict) return { merged: false, reason: error.message }
    throw error
  }
}

function merged(value: unknown, undos: readonly (() => void)[]): MergeResult {
  return {
    merged: true,
    value,
    undo: () => {
      for (const undo of undos) undo()
    },
  }
}

/** Ends a merge from any depth of the value. It is caught in this file. */
class Conflict extends Error {}

interface Versions {
  readonly base: unknown
  readonly mine: unknown
  readonly theirs: unknown
}

/** Where the result of a merge is put. */
interface Result {
  value: unknown
}

/** An item of an array. Equal ones have the same number. */
interface Item extends Result {
  readonly number: number
}

/** A field of an object, or an entry of a Map. */
interface Entry<K> extends Item {
  readonly key: K
  readonly step: Step
}

/** Items from `start` to before `end` of the base, and what stands there on one side: its items from `from` to before `to`. */
interface Hunk {
  readonly start: number
  end: number
  readonly side: readonly Item[]
  readonly from: number
  to: number
}

type Collection = unknown[] | Map<unknown, unknown> | Set<unknown>

/** The number of a hole in an array, which has no text. */
const HOLE = 0

/** One merge, in three phases: look for conflicts, call the program's functions, write. */
class ThreeWayMerge {
  readonly #key: string
  readonly #tools: MergeTools
  readonly #path: Step[] = []
  readonly #numbers = new Map<string, number>()
  readonly #calls: (() => void)[] = []
  /** Each returns the function that undoes it. */
  readonly #writes: (() => () => void)[] = []
  #parts = 0
  #text = 0
  #cells = 0

  constructor(key: string, tools: MergeTools) {
    this.#key = key
    this.#tools = tools
  }

  merge(rule: Merge, versions: Versions): MergeResult {
    const { base, mine, theirs } = versions
    if (typeof rule !== 'function') {
      // The codec refuses proxies, accessors and the like, so from here on every property is data.
      const myText = this.#encode(mine)
      const theirText = this.#encode(theirs)
      const baseText = base === undefined ? undefined : this.#encode(base)
      if (theirText === baseText) return merged(mine, [])
      if (myText === baseText) return merged(theirs, [])
      if (hasReference(myText) || hasReference(theirText))
        throw new Conflict(`${this.#where()} holds one object in two places`)
    }
    const result: Result = { value: mine }
    this.#plan(rule, versions, result)
    for (const call of this.#calls) call()
    const undos = this.#writes.map((write) => write())
    return merged(result.value, undos)
  }

  #plan(rule: Merge, versions: Versions, result: Result): void {
    const { base, mine, theirs } = versions
    // Only a function that is declared for a key, and not by a class, takes values of any kind.
    const takesAny = typeof rule === 'function' && rule !== this.#tools.mergeOf(mine)
    if (!takesAny && prototypeOf(theirs) !== prototypeOf(mine))
      throw new Conflict(`the two requests made ${this.#where()} values of different classes`)
    if (!takesAny && base !== undefined && prototypeOf(base) !== prototypeOf(mine))
      throw new Conflict(`both requests replaced ${this.#where()} by a value of another class`)
    if (rule === 'fields') this.#planFields(versions, result)
    else if (rule === 'items') this.#planItems(versions, result)
    else
      this.#calls.push(() => {
        result.value = rule(base, mine, theirs)
      })
  }

  #planFields({ base, mine, theirs }: Versions, result: Result): void {
    if (!isObject(mine) || !this.#isKeptByFields(mine))
      throw new Conflict(
        `${this.#where()} is not a plain object, and its class does not keep it by its fields`,
      )
    const entries = this.#mergeEntries(
      this.#fieldEntries(base),
      this.#fieldEntries(mine),
      this.#fieldEntries(theirs),
    )
    const target = isChangeable(mine) ? mine : blankLike(mine)
    result.value = target
    this.#writes.push(() => {
      const before = fieldsOf(target)
      replaceFields(target, mapOf(entries))
      return () => replaceFields(target, before)
    })
  }

  #isKeptByFields(object: object): boolean {
    const prototype = prototypeOf(object)
    if (!isObject(prototype) || prototype === Object.prototype) return true
    const plan = this.#tools.planOf(prototype)
    return plan !== undefined && plan.hooks === undefined
  }

  #planItems({ base, mine, theirs }: Versions, result: Result): void {
    const [old, before, other] = [this.#copyOf(base), this.#copyOf(mine), this.#copyOf(theirs)]
    if (!isCollection(mine) || before === undefined || other === undefined)
      throw new Conflict(`${this.#where()} is not an array, a Map or a Set`)
    const decode = this.#decodeOf(mine, [base, mine, theirs])
    const content = this.#mergeCollections(old, before, other)
    if (decode !== undefined) {
      this.#calls.push(() => {
        result.value = decode(content())
      })
      return
    }
    const target = Array.isArray(mine) && !isChangeable(mine) ? [] : mine
    result.value = target
    this.#writes.push(() => {
      refill(target, content())
      return () => refill(target, before)
    })
  }

  /**
   * How the class of a collection makes an instance of merged items, if it is a registered one. That the items are all of
   * its state is certain only if its `encode` returns them and nothing else, in a list or a plain collection.
   */
  #decodeOf(mine: Collection, versions: readonly unknown[]): ((items: Collection) => unknown) | undefined {
    const prototype = prototypeOf(mine)
    const hooks = isObject(prototype) ? this.#tools.planOf(prototype)?.hooks : undefined
    if (hooks === undefined) return undefined
    const where = this.#where()
    let isList = false
    for (const version of versions) {
      const items = this.#copyOf(version)
      if (items === undefined || !isObject(version)) continue
      const state = hooks.encode(version)
      isList = Array.isArray(state)
      if (this.#encode(state) !== this.#encode(isList ? listOf(items) : items))
        throw new Conflict(`the class of ${where} does not encode it as its items alone`)
    }
    return (items) => {
      const instance = hooks.decode(isList ? listOf(items) : items)
      if (prototypeOf(instance) === prototype) return instance
      throw new Conflict(`the class of ${where} decodes it as a value of another class`)
    }
  }

  /** What the merged collection holds. To be called when the program's functions have been called. */
  #mergeCollections(base: Collection | undefined, mine: Collection, theirs: Collection): () => Collection {
    if (types.isMap(mine)) {
      const entries = this.#mergeEntries(
        this.#mapEntries(base),
        this.#mapEntries(mine),
        this.#mapEntries(theirs),
      )
      return () => mapOf(entries)
    }
    if (types.isSet(mine)) {
      const members = this.#mergeMembers(this.#members(base), this.#members(mine), this.#members(theirs))
      return () => new Set(members)
    }
    const items = this.#mergeItems(this.#items(base), this.#items(mine), this.#items(theirs))
    return () => arrayOf(items)
  }

  /** In the order of `theirs`; what only this side has follows. */
  #mergeEntries<I, K>(
    base: ReadonlyMap<I, Entry<K>>,
    mine: ReadonlyMap<I, Entry<K>>,
    theirs: ReadonlyMap<I, Entry<K>>,
  ): Entry<K>[] {
    const entries: Entry<K>[] = []
    for (const id of new Set([...theirs.keys(), ...mine.keys(), ...base.keys()])) {
      const entry = this.#mergeEntry(base.get(id), mine.get(id), theirs.get(id))
      if (entry !== undefined) entries.push(entry)
    }
    return entries
  }

  #mergeEntry<K>(
    base: Entry<K> | undefined,
    mine: Entry<K> | undefined,
    theirs: Entry<K> | undefined,
  ): Entry<K> | undefined {
    if (theirs?.number === base?.number) return mine
    if (mine?.number === base?.number)
      // If the key is an object, the program may hold this side's.
      return mine === undefined || theirs === undefined ? theirs : { ...theirs, key: mine.key }
    const step = (mine ?? theirs ?? base)?.step
    if (step !== undefined) this.#path.push(step)
    const rule = this.#tools.mergeOf(mine?.value)
    if (mine === undefined || theirs === undefined || rule === undefined)
      throw new Conflict(`both requests changed ${this.#where()}`)
    this.#plan(rule, { base: base?.value, mine: mine.value, theirs: theirs.value }, mine)
    this.#path.pop()
    return mine
  }

  #mergeMembers(
    base: ReadonlyMap<number, unknown>,
    mine: ReadonlyMap<number, unknown>,
    theirs: ReadonlyMap<number, unknown>,
  ): unknown[] {
    const addsObject = [...mine, ...theirs].some(([number, member]) => isObject(member) && !base.has(number))
    for (const [number, member] of base)
      if (addsObject && isObject(member) && !mine.has(number) && !theirs.has(number))
        throw new Conflict(`both requests changed the same member of ${this.#where()}`)
    const members: unknown[] = []
    for (const [number, member] of theirs)
      if (mine.has(number)) members.push(mine.get(number))
      else if (!base.has(number)) members.push(member)
    for (const [number, member] of mine) if (!theirs.has(number) && !base.has(number)) members.push(member)
    return members
  }

  #mergeItems(base: readonly Item[], mine: readonly Item[], theirs: readonly Item[]): Item[] {
    const [ours, others] = [this.#hunks(base, mine), this.#hunks(base, theirs)]
    const removed = (hunk: Hunk): Item[] => base.slice(hunk.start, hunk.end)
    const numbers = new Set(ours.flatMap(removed).map(({ number }) => number))
    if (
      others.flatMap(removed).some(({ number }) => numbers.has(number)) ||
      ours.some((one) => others.some((other) => isInside(one, other) || isInside(other, one)))
    )
      throw new Conflict(`both requests changed the same items of ${this.#where()}`)

    const items: Item[] = []
    let at = 0 // in the base
    let shift = 0 // from there to the same item of `mine`
    // Sorting is stable: of two insertions at one place the other side's is first, and both stand before a replaced run.
    for (const hunk of [...others, ...ours].toSorted((a, b) => a.start - b.start || a.end - b.end)) {
      items.push(...mine.slice(at + shift, hunk.start + shift), ...hunk.side.slice(hunk.from, hunk.to))
      at = hunk.end
      if (hunk.side === mine) shift = hunk.to - hunk.end
    }
    items.push(...mine.slice(at + shift))
    return items
  }

  /** The differences between the base and one side, by a longest common subsequence of what lies between equal ends. */
  #hunks(base: readonly Item[], side: readonly Item[]): Hunk[] {
    const isSame = (i: number, j: number): boolean => base[i]?.number === side[j]?.number
    let head = 0
    while (head < base.length && head < side.length && isSame(head, head)) head++
    let [end, to] = [base.length, side.length]
    while (end > head && to > head && isSame(end - 1, to - 1)) [end, to] = [end - 1, to - 1]
    if (end === head || to === head) return end === to ? [] : [{ start: head, end, side, from: head, to }]

    const width = to - head + 1
    this.#cells += (end - head + 1) * width
    if (this.#cells > MOST_CELLS) throw this.#tooLarge()
    // lengths[(i - head) * width + j - head]: the longest subsequence that base[i..] and side[j..] have in common
    const lengths = new Uint16Array((end - head + 1) * width)
    const lengthAt = (i: number, j: number): number => lengths[(i - head) * width + j - head] ?? 0
    for (let i = end - 1; i >= head; i--)
      for (let j = to - 1; j >= head; j--)
        lengths[(i - head) * width + j - head] = isSame(i, j)
          ? lengthAt(i + 1, j + 1) + 1
          : Math.max(lengthAt(i + 1, j), lengthAt(i, j + 1))

    const hunks: Hunk[] = []
    let open: Hunk | undefined
    for (let [i, j] = [head, head]; i < end || j < to;) {
      if (i < end && j < to && isSame(i, j)) {
        open = undefined
        i++
        j++
        continue
      }
      if (open === undefined) hunks.push((open = { start: i, end: i, side, from: j, to: j }))
      if (j === to || (i < end && lengthAt(i + 1, j) >= lengthAt(i, j + 1))) open.end = ++i
      else open.to = ++j
    }
    return hunks
  }

  #fieldEntries(object: unknown): Map<string, Entry<string>> {
    const entries = new Map<string, Entry<string>>()
    if (!isObject(object)) return entries
    const fields = fieldsOf(object)
    this.#count(fields.size)
    for (const [key, value] of fields)
      entries.set(key, { key, value, number: this.#numberOf(value), step: key })
    return entries
  }

  #mapEntries(map: Collection | undefined): Map<number, Entry<unknown>> {
    const entries = new Map<number, Entry<unknown>>()
    if (!types.isMap(map)) return entries
    this.#count(map.size) // keys, besides values
    for (const [key, value] of map)
      entries.set(this.#numberOf(key), {
        key,
        value,
        number: this.#numberOf(value),
        step: { part: 'value', index: entries.size },
      })
    if (entries.size < map.size) throw new Conflict(`${this.#where()} has equal keys`)
    return entries
  }

  #members(set: Collection | undefined): Map<number, unknown> {
    const members = new Map<number, unknown>()
    if (!types.isSet(set)) return members
    for (const member of set) members.set(this.#numberOf(member), member)
    if (members.size < set.size) throw new Conflict(`${this.#where()} has equal members`)
    return members
  }

  #items(array: Collection | undefined): Item[] {
    if (!Array.isArray(array)) return []
    return Array.from(array, (value: unknown, index) => ({
      value,
      number: Object.hasOwn(array, index) ? this.#numberOf(value) : HOLE,
    }))
  }

  /** A plain collection with what a collection of any class holds. No method of the program runs. */
  #copyOf(value: unknown): Collection | undefined {
    if (Array.isArray(value)) {
      this.#count(value.length)
      const copy: unknown[] = []
      for (let i = 0; i < value.length; i++) {
        const item = Object.getOwnPropertyDescriptor(value, i)
        if (item !== undefined) copy[i] = item.value
      }
      copy.length = value.length
      return copy
    }
    let copy: Map<unknown, unknown> | Set<unknown> | undefined
    if (types.isMap(value)) copy = new Map(Map.prototype.entries.call(value))
    if (types.isSet(value)) copy = new Set(Set.prototype.values.call(value))
    this.#count(copy?.size ?? 0)
    return copy
  }

  /** Equal values have equal numbers. */
  #numberOf(value: unknown): number {
    const text = this.#encode(value)
    const known = this.#numbers.get(text)
    if (known !== undefined) return known
    const number = this.#numbers.size + 1
    this.#numbers.set(text, number)
    return number
  }

  #encode(value: unknown): string {
    const text = this.#tools.encode(value, this.#key)
    this.#text += text.length
    if (this.#text > MOST_TEXT) throw this.#tooLarge()
    return text
  }

  #count(parts: number): void {
    this.#parts += parts
    if (this.#parts > MOST_PARTS) throw this.#tooLarge()
  }

  #tooLarge(): Conflict {
    return new Conflict(`to merge ${this.#where()} by its parts takes more work than is allowed`)
  }

  #where(): string {
    return renderPath(this.#key, this.#path)
  }
}

/** Whether the hunk inserts items among some that the other one replaces. */
function isInside(insertion: Hunk, other: Hunk): boolean {
  const { start, end } = insertion
  return start === end && other.start < start && start < other.end
}

/** Whether a text has a token for an object that stands in it before: the grammar is in `codec/value/value-codec.ts`. */
function hasReference(text: string): boolean {
  return text.startsWith('S') && /(?<!\\)"~r\d+"/.test(text)
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function isCollection(value: unknown): value is Collection {
  return Array.isArray(value) || types.isMap(value) || types.isSet(value)
}

/** `undefined` for what is not an object. */
function prototypeOf(value: unknown): object | null | undefined {
  if (!isObject(value)) return undefined
  const prototype: object | null = Object.getPrototypeOf(value)
  return prototype
}

/** Whether the object can get any fields or items. A Map or Set can also if it is frozen. */
function isChangeable(object: object): boolean {
  if (!Object.isExtensible(object)) return false
  for (const name of Reflect.ownKeys(object)) {
    const property = Reflect.getOwnPropertyDescriptor(object, name)
    const isLength = Array.isArray(object) && name === 'length'
    if (property?.writable !== true || (property.configurable !== true && !isLength)) return false
  }
  return true
}

/** An object of the same class without fields. No constructor runs. */
function blankLike(object: object): object {
  return Object.create(Object.getPrototypeOf(object) as object | null) as object // as `create` makes objects
}

function fieldsOf(object: object): Map<string, unknown> {
  const names = Object.getOwnPropertyNames(object)
  return new Map(names.map((name) => [name, Object.getOwnPropertyDescriptor(object, name)?.value]))
}

function replaceFields(target: object, fields: ReadonlyMap<string, unknown>): void {
  for (const name of Object.getOwnPropertyNames(target)) Reflect.deleteProperty(target, name)
  for (const [name, value] of fields) define(target, name, value)
}

/** Replaces what a plain collection holds by what another one of its kind holds. */
function refill(target: Collection, content: Collection): void {
  if (target instanceof Map && content instanceof Map) {
    target.clear()
    for (const [key, value] of content) target.set(key, value)
  } else if (target instanceof Set && content instanceof Set) {
    target.clear()
    for (const member of content) target.add(member)
  } else if (Array.isArray(target) && Array.isArray(content)) {
    target.length = 0
    for (const index of Object.keys(content)) define(target, index, content[Number(index)])
    target.length = content.length
  }
}

function mapOf<K>(entries: readonly Entry<K>[]): Map<K, unknown> {
  return new Map(entries.map(({ key, value }) => [key, value]))
}

function arrayOf(items: readonly Item[]): unknown[] {
  const array: unknown[] = []
  for (const [index, { value, number }] of items.entries()) if (number !== HOLE) array[index] = value
  array.length = items.length
  return array
}

/** The items, members or entries. */
function listOf(collection: Collection): unknown[] {
  return Array.isArray(collection) ? collection : [...collection]
}
