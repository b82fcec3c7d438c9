import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import test, { type ExecutionContext } from 'ava'
import Koa, { type Context } from 'koa'
import { session, type Session, type SessionManager } from '../../src/index.ts'
import { serve } from '../support/client.ts'
import { SpiedStore } from '../support/spied-store.ts'

const MINUTE = 60_000
const BODY = 'x'.repeat(64)

type Act = (ctx: Context & { session: Session }, cut: () => Promise<void>) => unknown
interface Point {
  readonly title: string
  /** What the handler does; by default it sets three keys to one value. */
  readonly act?: Act
  /** How much of the request is sent before the client disconnects, if not all. */
  readonly sent?: (request: string) => string
  /** The verb of the store before or after which the client disconnects. */
  readonly at?: `${'before' | 'after'} ${'read' | 'create' | 'replace' | 'destroy'}`
  /** What the session holds afterwards under each of its three keys; `undefined` if it has ended. */
  readonly left: 'old' | 'new' | undefined
  readonly isAnonymous?: true
}

const set = (session: Session): void => {
  for (const key of ['a', 'b', 'c']) session.set(key, 'new')
}
const regenerate: Act = ({ session }) => {
  set(session)
  session.regenerate()
}
const logout: Act = async ({ session }) => session.destroy()
const all = (request: string): string => request
const headEnd = (request: string): number => request.indexOf('\r\n\r\n')

const points: readonly Point[] = [
  { title: 'with nothing sent', sent: () => '', left: 'old' },
  { title: 'within the first line', sent: (request) => request.slice(0, 8), left: 'old' },
  { title: 'within the headers', sent: (request) => request.slice(0, headEnd(request) - 9), left: 'old' },
  { title: 'before the body', sent: (request) => request.slice(0, headEnd(request) + 4), left: 'old' },
  { title: 'within the body', sent: (request) => request.slice(0, -9), left: 'old' },
  { title: 'before the session is read', at: 'before read', left: 'old' },
  { title: 'when the session was read', at: 'after read', left: 'old' },
  {
    title: 'between two changes',
    act: async ({ session }, cut) => {
      session.set('a', 'new')
      await cut()
      session.set('b', 'new').set('c', 'new')
    },
    left: 'new',
  },
  {
    title: 'before the handler throws',
    act: async ({ session }, cut) => {
      set(session)
      await cut()
      throw new Error('a bug')
    },
    left: 'old',
  },
  {
    title: 'before the handler refuses',
    act: async (ctx, cut) => {
      set(ctx.session)
      await cut()
      ctx.throw(403)
    },
    left: 'new',
  },
  { title: 'before the commit', at: 'before replace', left: 'new' },
  { title: 'after the commit', at: 'after replace', left: 'new' },
  { title: 'before a first commit', at: 'before create', left: 'new', isAnonymous: true },
  { title: 'after a first commit', at: 'after create', left: 'new', isAnonymous: true },
  { title: 'before a new ID has its record', act: regenerate, at: 'before create', left: 'old' },
  { title: 'between a new ID and the old one', act: regenerate, at: 'before replace', left: 'new' },
  { title: 'when the old ID is dead', act: regenerate, at: 'after replace', left: 'new' },
  {
    title: 'before a new ID is committed',
    act: async (ctx, cut) => {
      await regenerate(ctx, cut)
      await cut()
    },
    left: 'old',
  },
  { title: 'while its ID is renewed', at: 'before create', left: 'new' },
  { title: 'before a logout', act: logout, at: 'before destroy', left: undefined },
  { title: 'after a logout', act: logout, at: 'after destroy', left: undefined },
  {
    title: 'while a one-time value is claimed',
    act: async ({ session }) => (await session.claim('token')) === 'once' && set(session),
    at: 'after replace',
    left: 'new',
  },
  {
    title: 'between an early commit and the stream',
    act: async (ctx, cut) => {
      set(ctx.session)
      await ctx.session.commit()
      await cut()
      ctx.body = new PassThrough().end('streamed')
    },
    left: 'new',
  },
  {
    title: 'within the stream',
    act: async (ctx, cut) => {
      set(ctx.session)
      await ctx.session.commit()
      ctx.respond = false
      ctx.res.write('begun')
      await cut()
      ctx.res.end('end')
    },
    left: 'new',
  },
]

for (const { title, act, sent = all, at, left, isAnonymous } of points) {
  test(`security 56: a client that goes ${title} leaves a complete session, and no unhandled rejection`, async (t) => {
    let cut = async (): Promise<void> => {}
    const site = await open(t, act ?? (({ session }) => set(session)), async () => cut())
    const { manager, store, socket, requests } = site
    const begun = manager.begin().set('a', 'old').set('b', 'old').set('c', 'old').set('token', 'once')
    await manager.commit(begun)
    site.turn(16 * MINUTE) // its ID is due for rotation, but a client that has disconnected would not get the new one

    const cookie = isAnonymous === true ? '' : `Cookie: sid=${begun.id}\r\n`
    const [client, server] = await socket()
    const closed = new Promise((resolve) => server.once('close', resolve))
    let isCut = false
    cut = async () => {
      if (isCut) return
      isCut = true
      client.destroy()
      await closed
    }
    store.before = async (verb) => (at === `before ${verb}` ? cut() : undefined)
    store.after = async (verb) => (at === `after ${verb}` ? cut() : undefined)
    client.write(
      sent(`POST /act HTTP/1.1\r\nHost: x\r\n${cookie}Content-Length: ${BODY.length}\r\n\r\n${BODY}`),
    )
    if (sent !== all) {
      if (title.includes('body')) await site.entered
      await cut()
    }
    await closed
    await Promise.allSettled(requests)
    t.true(isCut)
    store.before = store.after = () => {}

    const living = await sessions(manager, store)
    const mine = living.filter((values) => isAnonymous !== true || values['token'] === undefined)
    t.deepEqual(
      mine.map(({ a, b, c }) => [a, b, c]),
      left === undefined ? [] : [[left, left, left]],
    )
    if (title.includes('claimed')) t.false(mine.some((values) => 'token' in values))
    t.deepEqual(unhandled, [])
  })
}

const unhandled: unknown[] = []
process.on('unhandledRejection', (reason) => unhandled.push(reason))

interface Opened {
  readonly manager: SessionManager
  readonly store: SpiedStore
  readonly requests: Promise<unknown>[]
  /** Resolves when a request has reached its handler. */
  readonly entered: Promise<void>
  readonly socket: () => Promise<readonly [client: Socket, server: Socket]>
  readonly turn: (ms: number) => void
}

async function open(t: ExecutionContext, act: Act, cut: () => Promise<void>): Promise<Opened> {
  const clock = { now: Date.UTC(2026, 0, 1) }
  const store = new SpiedStore(() => clock.now)
  const sessions = session({ store, now: () => clock.now, rotateAfter: 15 * MINUTE, sweepInterval: 0 })
  const requests: Promise<unknown>[] = []
  let enter = (): void => {}
  const entered = new Promise<void>((resolve) => (enter = resolve))
  const koa = new Koa()
  koa.use(async (_ctx, next) => {
    const request = next()
    requests.push(request)
    await request
  })
  koa.use(sessions).use(async (ctx) => {
    enter()
    for await (const _chunk of ctx.req);
    await act(ctx, cut)
    if (ctx.respond !== false) ctx.body ??= 'done'
  })
  const { server } = await serve(t, koa)
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not listening')
  const socket = async (): Promise<readonly [Socket, Socket]> => {
    const accepted = once(server, 'connection')
    const client = connect(address.port, '127.0.0.1')
    client.on('error', () => {})
    const [serverSide] = await accepted
    return [client, serverSide]
  }
  return {
    manager: sessions.manager,
    store,
    requests,
    entered,
    socket,
    turn: (ms) => void (clock.now += ms),
  }
}

/** What all stored sessions hold. */
async function sessions(manager: SessionManager, store: SpiedStore): Promise<Record<string, unknown>[]> {
  const living: Record<string, unknown>[] = []
  for (const key of store.keys) {
    const entry = await store.inner.read(key)
    const lines = [...(entry?.payload ?? '').matchAll(/^"(\w+)" J "(\w+)"/gm)]
    if (lines.length > 0) living.push(Object.fromEntries(lines.map(([, name = '', value]) => [name, value])))
  }
  await manager.close()
  return living
}
