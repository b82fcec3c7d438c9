import test from 'ava'
import { everyOrder, someOrders, type Script } from './orders.ts'

/** How many orders of each race with faults. `KTS_ORDERS=100000` for the long run. */
const ORDERS = Number(process.env['KTS_ORDERS'] ?? 100)

const pairs: readonly (readonly Script[])[] = [
  ['looks', 'looks'],
  ['sets', 'sets'],
  ['looks', 'logs out'],
  ['looks', 'logs out of another session'],
  ['sets', 'regenerates'],
  ['looks', 'ends by ID'],
  ['looks', 'empties'],
]

for (const scripts of pairs) {
  test(`two requests with one old cookie, of which one ${scripts.join(' and the other ')}, make one session and bring none back, in every order of their steps`, async (t) => {
    const { orders, wrong } = await everyOrder(scripts)
    t.is(wrong, undefined)
    t.true(orders > 50, `${orders} orders`)
  })
}

const races: readonly (readonly Script[])[] = [
  ['looks', 'looks', 'logs out'],
  ['logs out', 'logs out', 'sets'],
  ['looks', 'logs out of another session', 'logs out'],
  ['sets', 'sets', 'sets'],
  ['sets', 'sets', 'regenerates'],
  ['looks', 'ends by ID', 'logs out'],
  ['sets', 'sets', 'logs out', 'looks'],
  ['looks', 'looks', 'looks', 'looks', 'looks', 'looks'],
]

for (const scripts of races) {
  test(`${scripts.length} requests with one old cookie (${scripts.join(', ')}) make one session and bring none back, with crashes, lost answers and late calls at any step`, async (t) => {
    t.is(await someOrders(scripts, ORDERS), undefined)
  })
}
