import { Document } from '../../codec/document/document.ts'
import { defaultLimits } from '../../codec/limits.ts'
import { ValueCodec } from '../../codec/value/value-codec.ts'
import { createRegistry, type Registry } from '../../registry.ts'

/** A session's value in a form that `===` compares: numbers and strings as they are, everything else as text. */
export type Value = number | string | undefined

/** What a session holds. */
export type State = ReadonlyMap<string, Value>

/** A class whose concurrent changes are merged. */
export class Bag {
  items: string[] = []

  static merge(base: Bag | undefined, mine: Bag, theirs: Bag): Bag {
    const known = new Set([...(base?.items ?? []), ...theirs.items])
    const united = new Bag()
    united.items = [...theirs.items, ...mine.items.filter((item) => !known.has(item))]
    return united
  }
}

/** The classes that the sessions of a simulation may hold. */
export const registry: Registry = createRegistry()
registry.registerType(Bag, { merge: Bag.merge })

const codec = new ValueCodec(registry, defaultLimits)

/** What a payload holds. */
export function stateOf(payload: string): State {
  const document = Document.parse(payload, defaultLimits)
  const state = new Map<string, Value>()
  for (const key of document.keys()) state.set(key, plain(codec.decode(document.line(key) ?? '', key)))
  return state
}

export function plain(value: unknown): Value {
  if (value === undefined || typeof value === 'number' || typeof value === 'string') return value
  return value instanceof Bag ? value.items.toSorted().join() : JSON.stringify(value)
}

/** A {@link Bag} in its plain form, with one more item. */
export function withItem(bag: Value, item: string): Value {
  return [...itemsOf(bag), item].toSorted().join()
}

/** Two {@link Bag}s made from `base`, in their plain form, merged. */
export function unitedWith(base: Value, mine: Value, theirs: Value): Value {
  const known = new Set([...itemsOf(base), ...itemsOf(theirs)])
  return [...itemsOf(theirs), ...itemsOf(mine).filter((item) => !known.has(item))].toSorted().join()
}

function itemsOf(bag: Value): readonly string[] {
  return bag === undefined || bag === '' ? [] : String(bag).split(',')
}
