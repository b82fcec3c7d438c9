/**
 * Describes as text everything that a program can observe of a value: types, prototypes, own properties with their order
 * and enumerability, members with their order, and which parts are the same object. It is independent of the codec.
 */
export function fingerprint(value: unknown): string {
  const seen = new Map<object, number>()
  const lines: string[] = []

  const primitive = (part: unknown): string => {
    if (Object.is(part, -0)) return '-0'
    if (typeof part === 'bigint') return `${part}n`
    return typeof part === 'string' ? JSON.stringify(part) : String(part)
  }

  const visit = (part: unknown): string => {
    if ((typeof part !== 'object' || part === null) && typeof part !== 'function')
      return `${typeof part} ${primitive(part)}`
    const known = seen.get(part)
    if (known !== undefined) return `#${known}`
    const number = seen.size
    seen.set(part, number)
    const line: string[] = [`#${number} ${Object.prototype.toString.call(part)} of ${prototypes(part)}`]
    const position = lines.push('') - 1
    line.push(...contents(part))
    for (const key of Reflect.ownKeys(part)) {
      if (typeof key === 'string' && ArrayBuffer.isView(part) && /^\d+$/.test(key)) continue
      if (key === 'stack' && part instanceof Error) continue
      const property = Reflect.getOwnPropertyDescriptor(part, key)
      const shown = property?.enumerable === true ? '' : '(hidden)'
      line.push(`${String(key)}${shown}=${property?.get === undefined ? visit(property?.value) : 'accessor'}`)
    }
    lines[position] = line.join('; ')
    return `#${number}`
  }

  const contents = (part: object): string[] => {
    if (part instanceof Date) return [String(part.getTime())]
    if (part instanceof RegExp) return [part.source, part.flags]
    if (part instanceof URL) return [part.href]
    if (part instanceof URLSearchParams) return [part.toString()]
    if (part instanceof Map) return [...part].map(([key, member]) => `${visit(key)}→${visit(member)}`)
    if (part instanceof Set) return [...part].map((member) => visit(member))
    if (part instanceof ArrayBuffer) return [Buffer.from(part).toString('hex')]
    if (ArrayBuffer.isView(part))
      return [Buffer.from(part.buffer, part.byteOffset, part.byteLength).toString('hex')]
    if (part instanceof Number || part instanceof String || part instanceof Boolean)
      return [primitive(part.valueOf())]
    const state: unknown = Reflect.get(part, 'fingerprint')
    return typeof state === 'function' ? [String(Reflect.apply(state, part, []))] : []
  }

  const prototypes = (part: object): string => {
    const names: string[] = []
    for (
      let at: unknown = Object.getPrototypeOf(part);
      typeof at === 'object' && at !== null;
      at = Object.getPrototypeOf(at)
    ) {
      names.push(typeof at.constructor === 'function' ? at.constructor.name : '?')
    }
    return names.join(' < ') || 'null'
  }

  const root = visit(value)
  return [root, ...lines].join('\n')
}
