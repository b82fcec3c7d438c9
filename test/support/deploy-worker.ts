// One process of a rolling deploy: `deploy-worker.ts <version> <folder> <id or -> <verb>…`, prints the values that it read as JSON.
import { createRegistry, SessionError, SessionManager, type Session } from '../../src/index.ts'
import { FileStore } from '../../src/stores/file.ts'

const [version = '', folder = '', id = '-', ...verbs] = process.argv.slice(2)
const registry = createRegistry()
const classes = new Map<string, new () => object>()

if (version === '1') {
  class Cart {
    items: string[] = []
    add(item: string): void {
      this.items.push(item)
    }
  }
  registry.registerType(Cart)
  classes.set('cart', Cart)
} else {
  class Cart {
    lines: Map<string, bigint> = new Map()
    add(item: string): void {
      this.lines.set(item, 2n)
    }
  }
  class Wishlist {
    wishes = new Set<string>()
    add(item: string): void {
      this.wishes.add(item)
    }
  }
  const upgrade = (fields: Record<string, unknown>): Record<string, unknown> => {
    const items = Array.isArray(fields['items']) ? fields['items'] : []
    return { lines: new Map(items.map((item) => [item, 1n])) }
  }
  registry.registerType(Cart, { version: 2, upgrade })
  registry.registerType(Wishlist)
  classes.set('cart', Cart).set('wish', Wishlist)
}

const manager = new SessionManager({ store: new FileStore({ folder }), registry })
const session = await manager.open(id === '-' ? undefined : id)
const seen: unknown[] = []
for (const verb of verbs) seen.push(act(session, verb))
const outcome = await manager.commit(session)
const text = (_key: string, value: unknown): unknown => {
  if (typeof value === 'bigint') return `${value}n`
  if (value instanceof Map) return [...value]
  return value instanceof Set ? [...value] : value
}
console.log(JSON.stringify({ id: session.id, outcome, seen }, text))

function act(opened: Session, verb: string): unknown {
  const [name = '', key = '', item = ''] = verb.split(':')
  try {
    if (name === 'get') return opened.get(key) ?? null
    if (name === 'count') return opened.update(key, (n = 0) => n + 1)
    if (name === 'add') return opened.get(key).add(item) ?? null
    const type = classes.get(name)
    if (type === undefined) throw new Error(`this version has no ${name}`)
    opened.set(key, new type())
    return null
  } catch (error) {
    return error instanceof SessionError ? error.code : String(error)
  }
}
