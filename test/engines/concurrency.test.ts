// What a commit means when requests of one visitor meet, on every kind of store: each case once was a change that was
// acknowledged and lost, a session that was ended and came back, or one that could not be ended.
import type { ExecutionContext } from 'ava'
import {
  createRegistry,
  SessionError,
  SessionManager,
  type ManagerOptions,
  type Session,
  type SessionEvent,
  type SessionOptions,
} from '../../src/index.ts'
import { Branches } from '../../src/testing/simulation/branches.ts'
import { Seeded } from '../../src/testing/simulation/seeded.ts'
import type { Choices } from '../../src/testing/simulation/simulation.ts'
import { Barrier, Gate } from '../support/gate.ts'
import { HookedStore, type Verb } from '../support/hooked-store.ts'
import { Turns, type Outcome } from '../support/turns.ts'
import { contend, ENDS, outrun, RIVALS, type End } from './contention.ts'
import { concurrentProviders, sharedStore, testOn } from './shared-store.ts'
import { openSite, type Answer, type Route, type Site } from './site.ts'
import { PATIENCE } from './stores.ts'

const PARALLEL = 20
/** How far the store is from the processes, in ms each way. */
const LATENCIES = [0, 1, 2, 5]
/** How many of the orders of four requests are tried. `KTS_ORDERS=10000` for the long run. */
const ORDERS = Number(process.env['KTS_ORDERS'] ?? 60)

class Cart {
  items: string[] = []
  add(item: string): void {
    this.items.push(item)
  }
}
const registry = createRegistry()
registry.registerType(Cart)

const patience = { openTimeout: PATIENCE, commitTimeout: PATIENCE, sweepInterval: 0 }

interface Stage {
  readonly store: HookedStore
  readonly site: Site
  readonly events: SessionEvent[]
}

/** A site on the shared store of a provider. */
async function stage(
  t: ExecutionContext,
  provider: string,
  routes: Readonly<Record<string, Route>>,
  options: SessionOptions<undefined, 'session'> = {},
): Promise<Stage> {
  const store = new HookedStore(await sharedStore(provider))
  const events: SessionEvent[] = []
  const onEvent = (event: SessionEvent): void => void events.push(event)
  const site = await openSite({ store, registry, onEvent, ...patience, ...options }, routes)
  t.teardown(async () => site.close())
  return { store, site, events }
}

/** A visitor's session with a user and a cart. Returns the cookie. */
async function enter(site: Site): Promise<string> {
  const { status, cookie = '' } = await site.ask('/enter')
  if (status !== 200 || cookie === '') throw new Error(`/enter: ${status}`)
  return cookie
}

/** Routes to begin a session and to look at all of it. */
const common: Readonly<Record<string, Route>> = {
  enter: ({ session }) => void session.set('cart', ['apple']).set('flash', 'old'),
  look: ({ session }) => Object.fromEntries(session.entries()),
  logout: async ({ session }) => session.destroy(),
}

async function look(site: Site, cookie: string): Promise<unknown> {
  return JSON.parse((await site.ask('/look', cookie)).text)
}

function granted(answers: readonly Answer[]): number {
  return answers.filter(({ status }) => status === 200).length
}

/** Whether each answer is either a yes or a conflict that sets no cookie. */
function areYesOrConflict(answers: readonly Answer[]): boolean {
  return answers.every(({ status, cookie }) => status === 200 || (status === 409 && cookie === undefined))
}

function isConflict(outcome: Outcome<unknown> | undefined): boolean {
  return (
    outcome !== undefined &&
    'error' in outcome &&
    outcome.error instanceof SessionError &&
    outcome.error.code === 'ERR_SESSION_CONFLICT'
  )
}

for (const provider of concurrentProviders) {
  for (const begun of ['an empty cart', 'no cart']) {
    testOn(
      provider,
      `of ${PARALLEL} requests at once that each get a cart, add to it and set it, every acknowledged item is there and every other answer is 409: ${begun}`,
      async (t) => {
        let meet = async (): Promise<void> => {}
        const { site } = await stage(t, provider, {
          ...common,
          enter: ({ session }) =>
            void (begun === 'no cart' ? session.set('n', 1) : session.set('cart', new Cart())),
          add: async ({ session }, item) => {
            const cart: Cart = session.get('cart') ?? new Cart()
            cart.add(item)
            await meet()
            session.set('cart', cart)
          },
          items: ({ session }) => session.get('cart')?.items ?? [],
        })
        for (const together of [true, false]) {
          const cookie = await enter(site)
          const barrier = new Barrier(PARALLEL)
          meet = async () => (together ? barrier.pass() : undefined)
          const items = Array.from({ length: PARALLEL }, (_, n) => `item-${n}`)
          const answers = await Promise.all(items.map(async (item) => site.ask(`/add/${item}`, cookie)))
          t.true(areYesOrConflict(answers))
          const kept: string[] = JSON.parse((await site.ask('/items', cookie)).text)
          t.deepEqual(kept.toSorted(), items.filter((_, n) => answers[n]?.status === 200).toSorted())
          if (together) t.is(kept.length, 1, 'all had read the same cart')
          else t.true(kept.length >= 1)
        }
      },
    )
  }

  for (const way of ['update', 'a merge of its class', 'a merge of its key']) {
    testOn(
      provider,
      `of ${PARALLEL} requests at once that change a cart by ${way}, all are acknowledged and all items are there`,
      async (t) => {
        const own = createRegistry()
        const merge = (base: Cart | undefined, mine: Cart, theirs: Cart): Cart => {
          const old = new Set(base?.items)
          return Object.assign(new Cart(), {
            items: [...theirs.items, ...mine.items.filter((item) => !old.has(item))],
          })
        }
        own.registerType(Cart, way === 'a merge of its class' ? { merge } : {})
        const barrier = new Barrier(PARALLEL)
        const options = {
          registry: own,
          ...(way === 'a merge of its key' && {
            // The key holds nothing but carts.
            keys: {
              cart: {
                merge: (base: unknown, mine: unknown, theirs: unknown) =>
                  merge(base as Cart, mine as Cart, theirs as Cart),
              },
            },
          }),
        }
        const { site } = await stage(
          t,
          provider,
          {
            enter: ({ session }) => void session.set('cart', new Cart()),
            add: async ({ session }, item) => {
              if (way === 'update') {
                session.update('cart', (cart: Cart = new Cart()) => cart.add(item))
                return barrier.pass()
              }
              const cart: Cart = session.get('cart') ?? new Cart()
              cart.add(item)
              await barrier.pass()
              session.set('cart', cart)
            },
            items: ({ session }) => session.get('cart').items,
          },
          options,
        )
        const cookie = await enter(site)
        const items = Array.from({ length: PARALLEL }, (_, n) => `item-${n}`)
        const answers = await Promise.all(items.map(async (item) => site.ask(`/add/${item}`, cookie)))
        t.is(granted(answers), PARALLEL)
        const kept: string[] = JSON.parse((await site.ask('/items', cookie)).text)
        t.deepEqual(kept.toSorted(), items.toSorted())
      },
    )
  }

  for (const [first, second] of [
    ['write', 'page'],
    ['page', 'write'],
  ] as const) {
    testOn(
      provider,
      `a flash message that is set without having been read stays, although another request takes the old one: the ${first} commits first`,
      async (t) => {
        const gates = { write: new Gate(), page: new Gate() }
        const { site } = await stage(t, provider, {
          ...common,
          write: async ({ session }) => {
            session.set('flash', 'new')
            await gates.write.pass()
          },
          page: async ({ session }) => {
            const text = session.take('flash')
            await gates.page.pass()
            return text
          },
          take: ({ session }) => session.take('flash'),
        })
        const cookie = await enter(site)
        const asked = { write: site.ask('/write', cookie), page: site.ask('/page', cookie) }
        await Promise.all([gates.write.arrived, gates.page.arrived])
        for (const name of [first, second]) {
          gates[name].open()
          t.is((await asked[name]).status, 200)
        }
        t.is((await asked.page).text, '"old"')
        t.is((await site.ask('/take', cookie)).text, '"new"')
        t.is((await site.ask('/take', cookie)).text, 'null')
      },
    )
  }

  // At these points the browser drops the first of two log-ins.
  const drops = ['in its handler', ['before', 'create'], ['after', 'create'], ['before', 'replace']] as const
  for (const point of drops) {
    for (const later of ['first', 'second']) {
      // The call that makes the old record a redirect is on its way, and is carried out: then the second one is refused.
      const isTooLate = point !== 'in its handler' && point[1] === 'replace' && later === 'second'
      const outcome = isTooLate ? 'is refused' : 'logs the visitor in, and the cart is there'
      testOn(
        provider,
        `of a double click on "log in" whose first connection is dropped ${[point].flat().join(' ')}, the second ${outcome}: the ${later} goes on last`,
        async (t) => {
          const gates = { first: new Gate(), second: new Gate() }
          let closed: Promise<unknown> | undefined
          const { site, store } = await stage(t, provider, {
            ...common,
            login: async ({ session, res }, name) => {
              if (name === 'first') closed = new Promise((resolve) => res.once('close', resolve))
              session.regenerate()
              session.set('user', 'ann')
              await gates[name === 'first' ? 'first' : 'second'].pass()
            },
          })
          const cookie = await enter(site)
          const handled = site.handled('/login/first')
          const browser = new AbortController()
          const first = site.ask('/login/first', cookie, browser.signal)
          const second = site.ask('/login/second', cookie)
          const dropped = t.throwsAsync(first, { name: 'AbortError' })
          await Promise.all([gates.first.arrived, gates.second.arrived])
          const drop = async (): Promise<void> => {
            browser.abort()
            await closed
          }
          // Where the first one waits: in its handler, or at its first call of that verb.
          let held = gates.first
          if (point === 'in its handler') await drop()
          else {
            held = new Gate()
            const [side, verb] = point
            let isFirst = true
            store[side] = async (call) => {
              if (call.verb !== verb || !isFirst) return
              isFirst = false
              await drop()
              await held.pass()
            }
            gates.first.open()
            await Promise.race([held.arrived, handled])
          }
          if (later === 'second') {
            held.open()
            await handled
          }
          gates.second.open()
          const answer = await second
          held.open()
          await Promise.all([handled, dropped])
          t.is(answer.status, isTooLate ? 409 : 200)
          if (!isTooLate)
            t.deepEqual(await look(site, answer.cookie ?? ''), {
              cart: ['apple'],
              flash: 'old',
              user: 'ann',
            })
          t.deepEqual(await look(site, cookie), {})
        },
      )
    }
  }

  testOn(
    provider,
    `of two log-ins at once whose connections stay the first wins, the other gets 409, and who follows the first is logged in`,
    async (t) => {
      const barrier = new Barrier(2)
      const { site } = await stage(t, provider, {
        ...common,
        login: async ({ session }, name) => {
          session.regenerate()
          session.set('user', name)
          await barrier.pass()
        },
      })
      const cookie = await enter(site)
      const answers = await Promise.all(
        ['ann', 'bob'].map(async (name) => site.ask(`/login/${name}`, cookie)),
      )
      t.true(areYesOrConflict(answers))
      t.is(granted(answers), 1)
      const winner = answers.findIndex(({ status }) => status === 200)
      t.deepEqual(await look(site, answers[winner]?.cookie ?? ''), {
        cart: ['apple'],
        flash: 'old',
        user: ['ann', 'bob'][winner],
      })
      t.deepEqual(await look(site, cookie), {})
    },
  )
}

/** What a request may write, and what is then in its session. */
const writes: Readonly<Record<string, (session: Session) => unknown>> = {
  'sets a key': (session) => session.set('mark', 1),
  'reads a key and changes it in place': (session) => session.get('cart').push('pear'),
  'updates a key': (session) => session.update('cart', (cart: string[] = []) => [...cart, 'pear']),
  'deletes a key': (session) => session.delete('flash'),
  'takes a key': (session) => session.take('flash'),
  'clears the session and sets a key': (session) => {
    session.clear()
    session.set('mark', 1)
  },
  'commits early': async (session) => session.set('mark', 1).commit(),
}
const claim = async (session: Session): Promise<unknown> => session.claim('flash')
/** What a request that outlives its session may do. */
const late: typeof writes = {
  ...writes,
  'claims a key': claim,
  regenerates: (session) => session.regenerate(),
}

for (const provider of concurrentProviders) {
  for (const [kind, write] of Object.entries(writes)) {
    testOn(
      provider,
      `a request that ${kind} while another one of the visitor logs in gets 409 and no cookie, and nothing of it is stored`,
      async (t) => {
        const gate = new Gate()
        const { site } = await stage(t, provider, {
          ...common,
          login: ({ session }) => {
            session.regenerate()
            session.set('user', 'ann')
          },
          write: async ({ session }) => {
            session.has('cart')
            await gate.pass()
            await write(session)
          },
        })
        const cookie = await enter(site)
        const writing = site.ask('/write', cookie)
        await gate.arrived
        const login = await site.ask('/login', cookie)
        gate.open()
        t.like(await writing, { status: 409, cookie: undefined })
        t.is(login.status, 200)
        t.deepEqual(await look(site, login.cookie ?? ''), { cart: ['apple'], flash: 'old', user: 'ann' })
        t.deepEqual(await look(site, cookie), {})
      },
    )
  }

  testOn(
    provider,
    `a request that claims a key while another one of the visitor logs in gets nothing and no cookie, and the value stays`,
    async (t) => {
      const gate = new Gate()
      const { site } = await stage(t, provider, {
        ...common,
        login: ({ session }) => session.regenerate(),
        claim: async ({ session }) => {
          await gate.pass()
          return session.claim('flash')
        },
      })
      const cookie = await enter(site)
      const claiming = site.ask('/claim', cookie)
      await gate.arrived
      const login = await site.ask('/login', cookie)
      gate.open()
      t.deepEqual(await claiming, { status: 200, text: 'null', cookie: undefined })
      t.deepEqual(await look(site, login.cookie ?? ''), { cart: ['apple'], flash: 'old' })
    },
  )

  testOn(
    provider,
    `a request that only reads while another one of the visitor logs in is answered, and sets no cookie`,
    async (t) => {
      const gate = new Gate()
      const { site } = await stage(t, provider, {
        ...common,
        login: ({ session }) => session.regenerate(),
        read: async ({ session }) => {
          await gate.pass()
          return session.get('flash')
        },
      })
      const cookie = await enter(site)
      const reading = site.ask('/read', cookie)
      await gate.arrived
      t.is((await site.ask('/login', cookie)).status, 200)
      gate.open()
      t.deepEqual(await reading, { status: 200, text: '"old"', cookie: undefined })
    },
  )
}

/** Two processes, or one, whose store calls take turns; and what became of the session that their requests met on. */
interface Meeting {
  readonly managers: readonly SessionManager[]
  readonly store: HookedStore
  /** The ID that all requests hold. */
  readonly id: string
  /** The IDs that were told to a client. */
  readonly told: string[]
}

/** What one request does at a meeting. */
type Operation = (meeting: Meeting, manager: SessionManager) => Promise<unknown>

const signsIn: Operation = async ({ id, told }, manager) => {
  const session = await manager.open(id)
  if (session.isNew) return 'nobody'
  session.regenerate()
  session.set('user', 'ann')
  const outcome = await manager.commit(session)
  told.push(session.id)
  return outcome
}
const writesTo =
  (write: (session: Session) => unknown): Operation =>
  async ({ id }, manager) => {
    const session = await manager.open(id)
    if (session.isNew) return 'nobody'
    await write(session)
    return manager.commit(session)
  }
/** A claim that gets nothing is like none. */
const claims: Operation = async ({ id }, manager) => {
  const session = await manager.open(id)
  const value: unknown = await session.claim('flash')
  await manager.commit(session)
  return value === undefined ? 'nobody' : 'ok'
}
const signsOut: Operation = async ({ id }, manager) => {
  const session = await manager.open(id)
  await session.destroy()
  return 'ok'
}

const isEnded: Operation = async ({ id }, manager) => {
  await manager.destroy(id)
  return 'ok'
}

/** Runs the operations once on a new session, in the order that `choices` decides, and has what is left checked. */
async function meet(
  provider: string,
  processes: 1 | 2,
  choices: Choices,
  operations: Readonly<Record<string, Operation>>,
  check: (meeting: Meeting, outcomes: readonly Outcome<unknown>[]) => Promise<string | undefined>,
): Promise<string | undefined> {
  const inner = await sharedStore(provider)
  const store = new HookedStore(inner)
  const turns = new Turns(choices, processes === 1)
  store.before = turns.pass
  const options: ManagerOptions = { store, registry, ...patience, pause: async () => {} }
  const managers = Object.keys(operations).map(() => new SessionManager(options))
  const [first] = managers
  if (first === undefined) throw new Error('no operation')
  const begun = first.begin().set('cart', ['apple']).set('flash', 'old').set('user', 'guest')
  await first.commit(begun)
  const meeting = { managers, store, id: begun.id, told: [begun.id] }
  const outcomes = await turns.run(
    Object.fromEntries(
      Object.entries(operations).map(([name, operation], n) => [
        name,
        async () => operation(meeting, (processes === 1 ? first : managers[n]) ?? first),
      ]),
    ),
  )
  const problem = await check(meeting, outcomes)
  if (problem === undefined) return undefined
  return `${problem}: ${turns.order.join(', ')}`
}

/** A session that was ended opens under no ID, and nothing of it is stored anywhere. */
async function hasEnded({ managers, store, told }: Meeting): Promise<string | undefined> {
  for (const id of told) if ((await managers[0]?.find(id)) !== undefined) return 'the session lives'
  const payloads = await store.payloads()
  return payloads.some((payload) => payload.includes('apple')) ? 'its data is stored' : undefined
}

const ends: Readonly<Record<string, Operation>> = {
  'session.destroy()': signsOut,
  'manager.destroy(id)': isEnded,
}

for (const provider of concurrentProviders) {
  // In one process requests may wait for each other without a call; only in memory is it certain when they do.
  for (const processes of provider === 'memory' ? ([1, 2] as const) : ([2] as const)) {
    const where = processes === 1 ? 'in one process' : 'in two processes'
    for (const [how, ending] of Object.entries(ends)) {
      testOn(
        provider,
        `a logout by ${how} and a log-in at once, ${where}: in every order of their calls the logout succeeds, and no ID opens the session`,
        async (t) => {
          const problems: string[] = []
          const orders = new Branches()
          let tried = 0
          do {
            tried += 1
            const operations = { logout: ending, login: signsIn }
            const problem = await meet(
              provider,
              processes,
              orders,
              operations,
              async (meeting, [logout, login]) => {
                if (logout === undefined || 'error' in logout)
                  return `the logout failed: ${String(logout?.error)}`
                const isAnswered = isConflict(login) || (login !== undefined && 'value' in login)
                return isAnswered ? hasEnded(meeting) : 'the log-in failed'
              },
            )
            if (problem !== undefined) problems.push(problem)
          } while (orders.next())
          t.deepEqual(problems, [])
          t.true(tried > 10, `${tried} orders`)
        },
      )
    }

    const cases: readonly (readonly [string, Operation, (session: Session) => unknown])[] = [
      ['claims a key', claims, (session) => session.delete('flash')],
      ...Object.entries(writes).map(([kind, write]) => [kind, writesTo(write), write] as const),
    ]
    // How two changes become one does not depend on the store, so a server goes through two kinds of them.
    for (const [kind, operation, change] of provider === 'memory' ? cases : cases.slice(0, 2)) {
      testOn(
        provider,
        `a request that ${kind} and a log-in at once, ${where}: in every order of their calls what is acknowledged is there, and what is not is not`,
        async (t) => {
          const problems: string[] = []
          const orders = new Branches()
          do {
            const operations = { write: operation, login: signsIn }
            const problem = await meet(
              provider,
              processes,
              orders,
              operations,
              async (meeting, [written, login]) => {
                if (login === undefined || 'error' in login)
                  return `the log-in failed: ${String(login?.error)}`
                const isDone = written !== undefined && 'value' in written && written.value !== 'nobody'
                if (!isDone && !isConflict(written) && !(written !== undefined && 'value' in written))
                  return 'the write failed without a conflict'
                return compare(meeting, isDone ? change : () => {})
              },
            )
            if (problem !== undefined) problems.push(problem)
          } while (orders.next())
          t.deepEqual(problems, [])
        },
      )
    }
  }

  testOn(
    provider,
    `a logout, two log-ins and a write at once: in ${ORDERS} random orders of their calls the logout succeeds, and no ID opens the session`,
    async (t) => {
      const problems: string[] = []
      for (let seed = 1; seed <= ORDERS; seed += 1) {
        const operations = {
          logout: seed % 2 === 0 ? signsOut : isEnded,
          login: signsIn,
          'second login': signsIn,
          write: writesTo((session) => session.set('mark', 1)),
        }
        const problem = await meet(provider, 2, new Seeded(seed), operations, async (meeting, outcomes) => {
          const [logout, ...others] = outcomes
          if (logout === undefined || 'error' in logout) return `the logout failed: ${String(logout?.error)}`
          const areAnswered = others.every((outcome) => 'value' in outcome || isConflict(outcome))
          return areAnswered ? hasEnded(meeting) : 'a request failed without a conflict'
        })
        if (problem !== undefined) problems.push(`${seed}: ${problem}`)
      }
      t.deepEqual(problems, [])
    },
  )
}

/** Whether the session of the log-in holds exactly what this change makes of it, and its old ID opens nothing. */
async function compare(
  { managers, told }: Meeting,
  change: (session: Session) => unknown,
): Promise<string | undefined> {
  const [manager] = managers
  const [oldId, newId] = told
  if (manager === undefined || newId === undefined) return 'nobody is logged in'
  if ((await manager.find(oldId)) !== undefined) return 'the old ID opens the session'
  const model = new SessionManager()
  const expected = model.begin().set('cart', ['apple']).set('flash', 'old').set('user', 'guest')
  await change(expected)
  expected.set('user', 'ann')
  const found = await manager.find(newId)
  const [mine, theirs] = [expected, found].map((session) =>
    JSON.stringify(Object.fromEntries([...(session?.entries() ?? [])].toSorted())),
  )
  await model.close()
  return mine === theirs ? undefined : `${theirs} instead of ${mine}`
}

for (const provider of concurrentProviders) {
  for (const [kind, write] of Object.entries(late)) {
    testOn(
      provider,
      `a request that ${kind} after its session has expired under it gets an error and no cookie`,
      async (t) => {
        const clock = { now: Date.now() }
        const gate = new Gate()
        const { site, store } = await stage(
          t,
          provider,
          {
            ...common,
            write: async ({ session }) => {
              session.has('cart')
              await gate.pass()
              await write(session)
            },
          },
          { now: () => clock.now, idleTimeout: 60_000 },
        )
        const cookie = await enter(site)
        const writing = site.ask('/write', cookie)
        await gate.arrived
        // Backends with clocks of their own are a little ahead of this one.
        clock.now += 120_000
        await store.expire(clock.now)
        gate.open()
        t.like(await writing, { status: 409, cookie: undefined })
        t.deepEqual(await look(site, cookie), {})
        t.deepEqual(await store.payloads(), [])
      },
    )
  }

  testOn(
    provider,
    `a create whose answer was lost and that arrives after the visitor has logged out logs nobody in`,
    async (t) => {
      const { site, store } = await stage(t, provider, {
        ...common,
        login: ({ session }) => void session.set('user', 'ann'),
      })
      store.lose('create')
      const login = await site.ask('/login')
      t.is(login.status, 200, 'it is stored under another ID')
      const cookie = login.cookie ?? ''
      t.deepEqual(await look(site, cookie), { user: 'ann' })
      t.like(await site.ask('/logout', cookie), { status: 200, cookie: '' })
      t.is(await store.deliver(), 1)
      t.deepEqual(await look(site, cookie), {})
    },
  )

  testOn(
    provider,
    `a log-in whose new record gets lost is an error, and when that record arrives after a logout nobody is logged in`,
    async (t) => {
      const ids: string[] = []
      const { site, store } = await stage(t, provider, {
        ...common,
        login: ({ session }) => {
          session.regenerate()
          session.set('user', 'ann')
          ids.push(session.id)
        },
      })
      const cookie = await enter(site)
      store.lose('create')
      t.like(await site.ask('/login', cookie), { status: 503, cookie: undefined })
      const login = await site.ask('/login', cookie)
      t.is(login.status, 200)
      t.like(await site.ask('/logout', login.cookie), { status: 200, cookie: '' })
      t.is(await store.deliver(), 1)
      for (const id of [cookie, ...ids.slice(1)]) t.deepEqual(await look(site, id), {})
    },
  )

  testOn(
    provider,
    `a create whose answer was lost, of an ID that the program has read, is an error, and does not bring back what the program ends afterwards`,
    async (t) => {
      let id = ''
      const { site, store } = await stage(t, provider, {
        ...common,
        login: async ({ session }) => {
          id = session.id
          session.set('user', 'ann')
          await t.throwsAsync(session.commit(), { code: 'ERR_SESSION_STORE' })
          await session.destroy()
        },
      })
      store.lose('create')
      const login = await site.ask('/login')
      t.is(await store.deliver(), 1)
      t.true(login.status === 503 || login.status === 200)
      if (login.status === 200) t.deepEqual(await look(site, id), {}, 'an acknowledged end holds')
    },
  )

  for (const end of ENDS) {
    testOn(
      provider,
      `${end} against 3 and 20 connections that keep writing, 0 to 5 ms from the store: it ends, and nothing is lost`,
      async (t) => {
        const store = await sharedStore(provider)
        for (const latency of LATENCIES) {
          for (const howMany of [3, 20]) {
            const { problem, error, calls } = await contend(store, end, { latency, howMany })
            const where = `${latency} ms, ${howMany} connections`
            t.is(problem, undefined, where)
            if (end !== 'regenerate()') t.is(error, undefined, where)
            t.true(calls <= MOST_CALLS[end], `${where}: ${calls} calls`)
          }
        }
      },
    )
  }

  for (const end of ['session.destroy()', 'manager.destroy(id)'] as const) {
    for (const rival of RIVALS) {
      testOn(
        provider,
        `${end} while another request ${rival} succeeds after a bounded number of calls`,
        async (t) => {
          const { problem, error, calls } = await outrun(await sharedStore(provider), end, rival)
          t.is(error, undefined)
          t.is(problem, undefined)
          t.true(calls > 2 && calls <= MOST_CALLS[end], `${calls} calls`)
        },
      )
    }
  }

  testOn(
    provider,
    'regenerate() while another request writes before each of its writes is refused with 409 after a bounded number of calls, and loses nothing',
    async (t) => {
      const outcome = await outrun(
        await sharedStore(provider),
        'regenerate()',
        'writes before each write of it',
      )
      t.like(outcome.error, { code: 'ERR_SESSION_CONFLICT', status: 409 })
      t.is(outcome.problem, undefined)
      t.true(outcome.calls <= MOST_CALLS['regenerate()'], `${outcome.calls} calls`)
    },
  )

  testOn(
    provider,
    `with 'serializable' a request that has read a key which another one changed meanwhile may change nothing, and gets 409`,
    async (t) => {
      const outcomes = await readThenSetOther(t, provider, 'serializable')
      t.like(outcomes, { status: 409, cookie: undefined, stored: { cart: ['apple'], flash: 'newer' } })
    },
  )

  testOn(
    provider,
    `with 'snapshot' a request that has read a key which another one changed meanwhile may change another key`,
    async (t) => {
      const outcomes = await readThenSetOther(t, provider, 'snapshot')
      t.like(outcomes, { status: 200, stored: { cart: ['apple'], flash: 'newer', mark: 'old' } })
    },
  )

  testOn(
    provider,
    `with 'last-wins' a change that meets another one replaces it, and the event 'conflict' says so`,
    async (t) => {
      const gate = new Gate()
      const { site, events } = await stage(
        t,
        provider,
        {
          ...common,
          slow: async ({ session }) => {
            const flash: string = session.get('flash')
            await gate.pass()
            session.set('flash', `${flash} and slow`)
          },
          fast: ({ session }) => void session.set('flash', 'fast'),
        },
        { isolation: 'last-wins' },
      )
      const cookie = await enter(site)
      const slow = site.ask('/slow', cookie)
      await gate.arrived
      t.is((await site.ask('/fast', cookie)).status, 200)
      gate.open()
      t.is((await slow).status, 200)
      t.deepEqual(await look(site, cookie), { cart: ['apple'], flash: 'old and slow' })
      const conflicts = events.filter((event) => event.type === 'conflict')
      t.deepEqual(
        conflicts.map(({ keys, outcome }) => [keys, outcome]),
        [[1, 'overwritten']],
      )
    },
  )

  const costs: readonly [string, Route, readonly Verb[]][] = [
    ['reads', ({ session }) => session.get('cart'), ['read']],
    ['writes', ({ session }) => void session.set('mark', 1), ['read', 'replace']],
    [
      'reads and writes',
      ({ session }) => void session.set('cart', [session.get('flash')]),
      ['read', 'replace'],
    ],
    ['logs in', ({ session }) => session.regenerate(), ['read', 'create', 'replace', 'read']],
    ['logs out', async ({ session }) => session.destroy(), ['read', 'destroy']],
  ]
  for (const [kind, route, verbs] of costs) {
    testOn(
      provider,
      `a request that ${kind}, with no other one at the same time, calls the store for: ${verbs.join(', ')}`,
      async (t) => {
        const { site, store } = await stage(t, provider, { ...common, act: route })
        const cookie = await enter(site)
        store.calls.length = 0
        t.is((await site.ask('/act', cookie)).status, 200)
        t.deepEqual(store.verbs(), verbs)
      },
    )
  }
}

/** How many calls an operation may take at most, whatever other requests do. A regeneration tries as often as a commit. */
const MOST_CALLS: Readonly<Record<End, number>> = {
  'session.destroy()': 14,
  'manager.destroy(id)': 14,
  'regenerate()': 310,
}

/** One request reads `flash`, which another one then changes, and sets `mark` to what it has read. */
async function readThenSetOther(
  t: ExecutionContext,
  provider: string,
  isolation: 'serializable' | 'snapshot',
): Promise<Answer & { readonly stored: unknown }> {
  const gate = new Gate()
  const routes: Readonly<Record<string, Route>> = {
    ...common,
    slow: async ({ session }) => {
      session.set('mark', session.get('flash'))
      await gate.pass()
    },
    fast: ({ session }) => void session.set('flash', 'newer'),
  }
  const { site } = await stage(t, provider, routes, { isolation })
  const cookie = await enter(site)
  const slow = site.ask('/slow', cookie)
  await gate.arrived
  t.is((await site.ask('/fast', cookie)).status, 200)
  gate.open()
  return { ...(await slow), stored: await look(site, cookie) }
}
