import { z } from 'zod'
import { createRegistry } from '../../src/index.ts'

export class Point {
  x: number
  y: number
  constructor(x = 0, y = 0) {
    this.x = x
    this.y = y
  }
  get length(): number {
    return Math.hypot(this.x, this.y)
  }
}

/** A registered subclass of a registered class. */
export class Point3 extends Point {
  z = 3
}

/** An unregistered subclass of a registered class. */
export class Stray extends Point {}

/** A class with a schema. */
export class Account {
  readonly name: string
  readonly balance: bigint
  readonly opened: Date
  constructor(name = 'ann', balance = 5n, opened = new Date(0)) {
    this.name = name
    this.balance = balance
    this.opened = opened
  }
}

/** A class with private state. */
export class Vault {
  #secret: string
  constructor(secret: string) {
    this.#secret = secret
  }
  fingerprint(): string {
    return this.#secret
  }
  static encode(vault: Vault): string {
    return vault.#secret
  }
  static decode(plain: unknown): Vault {
    return new Vault(String(plain))
  }
}

export class Tags extends Set<string> {
  readonly kind = 'tags'
}
export class Matrix extends Array<number> {}
export class Dict extends Map<string, number> {}
export class QuotaError extends Error {
  readonly limit: number
  constructor(limit: number) {
    super(`over ${limit}`)
    this.limit = limit
  }
}

/** A tree whose nodes know their parents. */
export class Node {
  children: Node[] = []
  parent: Node | undefined
  add(): Node {
    const child = new Node()
    child.parent = this
    this.children.push(child)
    return child
  }
}

export const registry = createRegistry()
registry.registerType(RegExp)
registry.registerType(Point)
registry.registerType(Point3)
registry.registerType(Account, {
  schema: z.object({ name: z.string(), balance: z.bigint(), opened: z.date() }),
})
registry.registerType(Vault, { encode: Vault.encode, decode: Vault.decode })
registry.registerType(Node)
registry.registerType(Matrix, {
  encode: (matrix) => [...matrix],
  decode: (plain) => (Array.isArray(plain) ? (Matrix.from<number>(plain) as Matrix) : new Matrix()),
})
registry.registerType(Dict, {
  encode: (dict) => new Map(dict),
  decode: (plain) => (plain instanceof Map ? new Dict(plain) : new Dict()),
})
registry.registerType(Tags, {
  encode: (tags) => [...tags],
  decode: (plain) => (Array.isArray(plain) ? new Tags(plain) : new Tags()),
})
registry.registerType(QuotaError, {
  encode: ({ limit }) => limit,
  decode: (plain) => new QuotaError(Number(plain)),
})
