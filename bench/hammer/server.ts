/**
 * One process of an application: `server.ts <library> <provider> <config>`. It prints its port, and answers
 *
 * - `/begin`: a session with a counter and a mark of being logged in
 * - `/count`: one more; `/set?key=&value=`: another key
 * - `/add?key=&item=`: gets the array of that key, adds to it and sets it
 * - `/slow?ms=`: reads, works for so long, and then writes; `/logout`
 * - `/all`: what is in the session
 */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import Koa from 'koa'
import { session } from '../../src/index.ts'
import { LIST, MERGED } from './lists.ts'

const [, , library = '', provider = '', config = ''] = process.argv

/** What every library's session can do, as its own documentation shows it. */
interface Held {
  begin(): void
  count(): void
  set(key: string, value: number): void
  add(key: string, item: string): void
  all(): Record<string, unknown>
  destroy(): Promise<void>
}

type Answer = typeof answer

async function answer(path: string, query: URLSearchParams, held: Held): Promise<string> {
  if (path === '/begin') held.begin()
  if (path === '/count') held.count()
  if (path === '/set') held.set(query.get('key') ?? '', Number(query.get('value')))
  if (path === '/add') held.add(query.get('key') ?? '', query.get('item') ?? '')
  if (path === '/logout') await held.destroy()
  if (path === '/slow') {
    const wasIn = held.all()['in'] === true
    await delay(Number(query.get('ms')))
    held.set('slow', 1)
    return wasIn ? 'in' : 'out'
  }
  return path === '/all' ? JSON.stringify(held.all()) : 'done'
}

function ours(): RequestListener {
  const keys = { [MERGED]: { merge: 'items' } } as const
  const app = new Koa().use(session({ provider, providerConfig: config, keys }))
  app.silent = true
  app.use(async (ctx) => {
    const { session: current } = ctx
    ctx.body = await answer(ctx.path, new URLSearchParams(ctx.querystring), {
      begin: () => void current.set('n', 0).set('in', true).set(LIST, []).set(MERGED, []),
      count: () => void current.update('n', (n = 0) => n + 1),
      set: (key, value) => void current.set(key, value),
      add: (key, item) => {
        const list: string[] = current.get(key)
        list.push(item)
        current.set(key, list)
      },
      all: () => Object.fromEntries(current.entries()),
      destroy: async () => void (await current.destroy()),
    })
  })
  const handle = app.callback()
  return (request, response) => void handle(request, response)
}

/** The peers' applications; installed apart, so the compiler does not see them. */
type Peers = Record<string, (url: string, answer: Answer) => Promise<RequestListener>>

const peers = async (): Promise<Peers> =>
  // What peers.js exports, by the names under which the libraries are known.
  (await import(new URL('peers.js', import.meta.url).href)) as Peers

const listener = library === 'ours' ? ours() : await (await peers())[library]?.(config, answer)
const server = createServer(listener).listen(0, '127.0.0.1', () => {
  // A TCP server's address is an AddressInfo.
  console.log((server.address() as AddressInfo).port)
})
server.keepAliveTimeout = 0
process.on('disconnect', () => process.exit())
