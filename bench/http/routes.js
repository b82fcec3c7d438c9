// What every server does on a request, whatever keeps its sessions: `session` is how one of them is asked.

class Item {
  constructor(index) {
    this.sku = `SKU-${1000 + index}`
    this.name = `A thing of the kind number ${index}`
    this.quantity = (index % 5) + 1
    this.price = BigInt(1999 + index)
    this.added = new Date(1_760_000_000_000 + index * 60_000)
  }

  cost() {
    return BigInt(this.quantity) * this.price
  }
}

class Cart {
  items = Array.from({ length: 10 }, (_, index) => new Item(index))

  total() {
    let total = 0n
    for (const item of this.items) total += item.cost()
    return total
  }
}

/** The cart with its methods, dates and bigints, for those who can keep it. */
export const typed = { types: [Item, Cart], make: () => new Cart(), total: (cart) => cart.total() }

/** What is left of it in JSON. */
export const plain = {
  make: () => ({
    items: new Cart().items.map((item) =>
      Object.assign({}, item, { price: String(item.price), added: Number(item.added) }),
    ),
  }),
  total(cart) {
    let total = 0n
    for (const item of cart.items) total += BigInt(item.quantity) * BigInt(item.price)
    return total
  },
}

const fills = {
  small: { keys: 8, bytes: 110 },
  cart: { keys: 0, bytes: 0 },
  large: { keys: 64, bytes: 1000 },
}

/** @returns the text of the answer, or a promise of it */
export function respond(path, session, ctx) {
  const [, route, value] = path.split('/')
  switch (route) {
    case 'untouched':
      return 'ok'
    case 'fill':
      return fill(value, session, ctx)
    case 'read':
      return String(session.get(ctx, 'user'))
    case 'write':
      session.set(ctx, 'user', value)
      return 'ok'
    case 'cart-read': {
      const cart = session.get(ctx, 'cart')
      return `${cart.items[0].sku} ${session.cart.total(cart)}`
    }
    case 'cart-change': {
      const cart = session.get(ctx, 'cart')
      cart.items[0].sku = value
      session.set(ctx, 'cart', cart)
      return 'ok'
    }
    case 'login':
      return login(value, session, ctx)
    default:
      throw new Error(`no route ${path}`)
  }
}

function fill(size, session, ctx) {
  session.set(ctx, 'user', 'ann')
  if (size === 'cart') session.set(ctx, 'cart', session.cart.make())
  const { keys, bytes } = fills[size]
  for (let index = 0; index < keys; index += 1)
    session.set(ctx, `key${index}`, `${index} `.padEnd(bytes, 'abc '))
  return 'ok'
}

async function login(user, session, ctx) {
  await session.regenerate(ctx)
  session.set(ctx, 'user', user)
  return 'ok'
}
