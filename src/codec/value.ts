import { SuperJSON } from 'superjson'
import { SessionError } from '../errors.ts'
import type { Registry } from '../registry.ts'
import type { Limits } from './limits.ts'

export class ValueCodec {
  readonly #registry: Registry
  readonly #limits: Limits
  readonly #superjson = new SuperJSON({ dedupe: true })

  constructor(registry: Registry, limits: Limits) {
    this.#registry = registry
    this.#limits = limits
  }

  encode(value: unknown, key: string): string {
    const seen = new Set<object>()
    let mode: 'J' | 'T' | 'S' = 'J'
    const refuse = (path: string, why: string): never => {
      throw new SessionError('ERR_SESSION_VALUE', `${path}: ${why}`)
    }
    const walk = (v: unknown, path: string, depth: number): unknown => {
      if (depth > this.#limits.depth)
        throw new SessionError('ERR_SESSION_LIMIT', `${path} is nested too deeply`)
      if (v === null || typeof v === 'string' || typeof v === 'boolean') return v
      if (typeof v === 'number') {
        if (Number.isFinite(v) && !Object.is(v, -0)) return v
        if (mode === 'J') mode = 'T'
        return ['number', Object.is(v, -0) ? '-0' : String(v)]
      }
      if (mode === 'J') mode = 'T'
      if (v === undefined) return ['undefined']
      if (typeof v === 'bigint') return ['bigint', v.toString(16)]
      if (typeof v !== 'object') return refuse(path, `a ${typeof v} cannot be kept`)
      if (seen.has(v)) {
        mode = 'S'
        return null
      }
      seen.add(v)
      if (v instanceof Date) return ['Date', v.getTime()]
      if (v instanceof Map) {
        const out: unknown[] = ['Map']
        let i = 0
        for (const [k, m] of v) {
          out.push(walk(k, `${path}.keys[${i}]`, depth + 1), walk(m, `${path}.values[${i}]`, depth + 1))
          i++
        }
        return out
      }
      if (v instanceof Set) {
        const out: unknown[] = ['Set']
        let i = 0
        for (const m of v) out.push(walk(m, `${path}.values[${i++}]`, depth + 1))
        return out
      }
      if (Buffer.isBuffer(v)) return ['Buffer', v.toString('base64url')]
      if (v instanceof Uint8Array) return ['bytes', Buffer.from(v).toString('base64url')]
      if (Array.isArray(v)) return [v.map((m, i) => walk(m, `${path}[${i}]`, depth + 1))]
      const prototype = Object.getPrototypeOf(v)
      if (prototype === Object.prototype) {
        const out: Record<string, unknown> = {}
        for (const [k, m] of Object.entries(v)) out[k] = walk(m, `${path}.${k}`, depth + 1)
        return out
      }
      if (v instanceof URL || v instanceof RegExp) {
        mode = 'S'
        return null
      }
      const plan = prototype === null ? undefined : this.#registry.planOf(prototype)
      if (plan === undefined) return refuse(path, 'an instance of a class that is not registered')
      if (plan.options.encode !== undefined)
        return [plan.name, plan.version, walk(plan.options.encode(v), path, depth + 1)]
      const fields: Record<string, unknown> = {}
      for (const [k, m] of Object.entries(v)) fields[k] = walk(m, `${path}.${k}`, depth + 1)
      return [plan.name, plan.version, fields]
    }
    const tree = walk(value, key, 0)
    const plain = isPlain(value)
    // oxlint-disable-next-line typescript/no-unnecessary-condition
    if ((mode as string) === 'S') return `S ${this.#superjson.stringify(value)}`
    return plain ? `J ${JSON.stringify(value)}` : `T ${JSON.stringify(tree)}`
  }

  decode(line: string, key: string): unknown {
    try {
      const json: unknown = JSON.parse(line.slice(2))
      if (line.startsWith('J ')) return json
      if (line.startsWith('S ')) return this.#superjson.parse(line.slice(2))
      return this.#revive(json)
    } catch (cause) {
      throw new SessionError('ERR_SESSION_DECODE', `${key}: it cannot be decoded`, { cause })
    }
  }

  #revive(node: unknown): unknown {
    if (typeof node !== 'object' || node === null) return node
    if (!Array.isArray(node)) {
      return Object.fromEntries(Object.entries(node).map(([k, v]) => [k, this.#revive(v)]))
    }
    const [tag, ...rest]: unknown[] = node
    if (Array.isArray(tag)) return tag.map((v) => this.#revive(v))
    switch (tag) {
      case 'number':
        return Number(rest[0])
      case 'undefined':
        return undefined
      case 'bigint': {
        const hex = String(rest[0])
        return hex.startsWith('-') ? -BigInt(`0x${hex.slice(1)}`) : BigInt(`0x${hex}`)
      }
      case 'Date':
        return new Date(rest[0] === null ? NaN : Number(rest[0]))
      case 'Map': {
        const map = new Map<unknown, unknown>()
        for (let i = 0; i < rest.length; i += 2) map.set(this.#revive(rest[i]), this.#revive(rest[i + 1]))
        return map
      }
      case 'Set':
        return new Set(rest.map((v) => this.#revive(v)))
      case 'Buffer':
        return Buffer.from(String(rest[0]), 'base64url')
      case 'bytes':
        return new Uint8Array(Buffer.from(String(rest[0]), 'base64url'))
      default: {
        const plan = this.#registry.planNamed(String(tag))
        if (plan === undefined) throw new Error('unknown type')
        const [version, fields] = rest
        const revived = this.#revive(fields)
        if (plan.options.decode !== undefined) return plan.options.decode(revived)
        const upgraded =
          version === plan.version || plan.options.upgrade === undefined
            ? revived
            : // The fields of an instance are a plain object: the encoder wrote one.
              plan.options.upgrade(revived as Record<string, unknown>, Number(version))
        return Object.create(plan.prototype, Object.getOwnPropertyDescriptors(Object(upgraded)))
      }
    }
  }
}

function isPlain(value: unknown): boolean {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0)
  if (Array.isArray(value)) return value.every(isPlain)
  return (
    typeof value === 'object' &&
    Object.getPrototypeOf(value) === Object.prototype &&
    Object.values(value).every(isPlain)
  )
}
