import type { Step } from './path.ts'
import { damaged } from './tokens.ts'

/** What writes the parts of a value. */
export interface PartWriter {
  part(step: Step, value: unknown, depth: number): unknown
  /** A key of a Map or a member of a Set. */
  key(step: Step, key: unknown, depth: number): unknown
  /** The fields of an object that have these names. */
  fields(object: object, names: readonly string[], depth: number): object
}

/** What reads the parts of a value, which an object contains that is `depth` deep. */
export interface PartReader {
  part(node: unknown, depth: number): unknown
  /** A key of a Map or a member of a Set. */
  key(node: unknown, depth: number): unknown
  /** Reads the fields of an object, in place. */
  fields(object: object, depth: number): object
  /** Counts an object, and returns how deep its parts are. */
  enter(object: object | undefined, depth: number): number
}

/** `["~Map",k,v,…]`. No iterator of the program's runs. */
export function writeMap(map: ReadonlyMap<unknown, unknown>, depth: number, writer: PartWriter): unknown[] {
  const written: unknown[] = ['~Map']
  let index = 0
  for (const [key, value] of Map.prototype.entries.call(map)) {
    written.push(writer.key({ part: 'key', index }, key, depth))
    written.push(writer.part({ part: 'value', index: index++ }, value, depth))
  }
  return written
}

/** `["~Set",m,…]` */
export function writeSet(set: ReadonlySet<unknown>, depth: number, writer: PartWriter): unknown[] {
  const written: unknown[] = ['~Set']
  let index = 0
  for (const member of Set.prototype.values.call(set)) {
    written.push(writer.key({ part: 'member', index: index++ }, member, depth))
  }
  return written
}

/** No key may stand there twice. */
export function readMap(node: readonly unknown[], depth: number, reader: PartReader): Map<unknown, unknown> {
  if (node.length % 2 === 0) throw damaged()
  const map = new Map<unknown, unknown>()
  const below = reader.enter(map, depth)
  for (let i = 1; i < node.length; i += 2) {
    const key = reader.key(node[i], below)
    map.set(key, reader.part(node[i + 1], below))
  }
  if (map.size !== (node.length - 1) / 2) throw damaged()
  return map
}

/** No member may stand there twice. */
export function readSet(node: readonly unknown[], depth: number, reader: PartReader): Set<unknown> {
  const set = new Set<unknown>()
  const below = reader.enter(set, depth)
  for (let i = 1; i < node.length; i++) set.add(reader.key(node[i], below))
  if (set.size !== node.length - 1) throw damaged()
  return set
}
