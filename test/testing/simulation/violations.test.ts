import test from 'ava'
import { SessionError } from '../../../src/errors.ts'
import { SessionManager } from '../../../src/session/manager.ts'
import { stateOf, type Session } from '../../../src/session/session.ts'
import type { Written } from '../../../src/store.ts'
import * as actions from '../../../src/testing/simulation/actions.ts'
import type { Action } from '../../../src/testing/simulation/actor.ts'
import { Gate } from '../../support/gate.ts'
import { caller, HookedStore } from '../../support/hooked-store.ts'
import { Backend, HonestStore } from '../honest-store.ts'
import { everyOrder, someOrders, type Outcome } from './orders.ts'

// The violations that a first draft of the protocol had, by their numbers there.

const MINUTE = 60_000

test('violation 1: a request that began before a log-in plants nothing past it', async (t) => {
  const { orders, wrong } = await everyOrder({
    requests: [
      [actions.remove('csrf'), actions.regenerate, actions.put('user', 'victim')],
      [actions.setIfAbsent('csrf')],
    ],
    verify: ({ idsOf, opened }) =>
      idsOf('a').some((id) => opened(id)?.has('csrf') === true) ? 'it was planted' : undefined,
  })
  t.is(wrong, undefined)
  t.true(orders > 20)
})

test("violation 2: with isolation 'serializable' two log-in flows do not mix, as they may without it", async (t) => {
  let pending: unknown
  const requests: readonly (readonly Action[])[] = [
    [(actor) => void (pending = actor.get('pending')), actions.put('mfa', 'passed')],
    [actions.put('pending', 'victim'), actions.remove('mfa')],
  ]
  const verify = ({ living }: Outcome): string | undefined => {
    const isMixed = living().some((state) => state.get('pending') === 'victim' && state.has('mfa'))
    return isMixed && pending === 'attacker' ? "the attacker's factor counts for the victim" : undefined
  }
  const before = [actions.put('pending', 'attacker'), actions.commit]
  const { wrong } = await everyOrder({ requests, before, verify, settings: { isolation: 'serializable' } })
  t.is(wrong, undefined)
  const mixed = await everyOrder({ requests, before, verify })
  t.regex(mixed.wrong ?? '', /the attacker's factor/)
})

test('violation 3: of two regenerations one wins, and there is one session', async (t) => {
  const { orders, wrong } = await everyOrder({
    requests: [
      [actions.regenerate, actions.set('a')],
      [actions.regenerate, actions.set('b')],
    ],
    verify: ({ living }) =>
      living().filter((state) => state.has('token')).length > 1 ? 'it was forked' : undefined,
  })
  t.is(wrong, undefined)
  t.true(orders > 50)
})

test('violation 4: a log-in that was ended is not revived by a regeneration', async (t) => {
  const { orders, wrong } = await everyOrder({
    requests: [[actions.readAndSet('a'), actions.regenerate], [actions.endFirst]],
    verify: ({ living }) => (living().some((state) => state.has('token')) ? 'it lives' : undefined),
  })
  t.is(wrong, undefined)
  t.true(orders > 20)
})

test('violation 5: a destroy that destroys a redirect ends the session behind it', async (t) => {
  const verify = ({ living }: Outcome): string | undefined =>
    living().some((state) => state.has('token')) ? 'it lives' : undefined
  const settings = { rotation: { after: 30 * MINUTE, grace: 20 * MINUTE } }
  const requests = [[actions.setOwn], [actions.count('n', 1)], [actions.endFirst]]
  t.is(await someOrders({ requests, verify, settings, isAged: true }, 1_500), undefined)
  const { orders, wrong } = await everyOrder({
    requests: [[actions.setOwn], [actions.endFirst]],
    verify,
    settings,
    isAged: true,
  })
  t.is(wrong, undefined)
  t.true(orders > 20)
})

test('violation 6: a request follows every hop of a rotation, and none of a regeneration', async (t) => {
  const { manager, backend } = open({ rotateAfter: 2 * MINUTE, rotateGrace: MINUTE })
  const first = await begin(manager)
  const [slow, late] = [await find(manager, first), await find(manager, first)]
  let id = first
  for (let hop = 0; hop < 3; hop += 1) {
    backend.time += 3 * MINUTE
    const rotating = await find(manager, id)
    answer(rotating)
    t.is(await manager.commit(rotating), 'ok')
    t.not(rotating.id, id)
    ;({ id } = rotating)
  }
  t.is(await slow.set('a', 1).commit(), 'ok')
  t.is((await find(manager, id)).get('a'), 1)

  const login = await find(manager, id)
  t.is(await manager.regenerate(login), 'ok')
  await t.throwsAsync(late.set('a', 2).commit(), { code: 'ERR_SESSION_CONFLICT' })
  await manager.destroy(first)
  t.is(await manager.find(login.id), undefined)
})

test('violation 7: what is older than a redirect lives is told an error, and does not pass for done', async (t) => {
  const { manager, backend } = open({})
  const id = await begin(manager)
  const [leaving, writing, claiming] = [
    await find(manager, id),
    await find(manager, id),
    await find(manager, id),
  ]
  const login = await find(manager, id)
  await manager.regenerate(login)
  backend.time += 6 * MINUTE
  const conflict = { code: 'ERR_SESSION_CONFLICT' }
  await t.throwsAsync(leaving.destroy(), conflict)
  await t.throwsAsync(writing.set('a', 1).commit(), conflict)
  await t.throwsAsync(claiming.claim('token'), conflict)
  t.is((await find(manager, login.id)).get('token'), 1)
})

test('violation 7: a destroy whose answer was lost does not pass for done either', async (t) => {
  const { manager, backend, store } = open({})
  const id = await begin(manager)
  const leaving = await find(manager, id)
  const login = await find(manager, id)
  await manager.regenerate(login)
  backend.time += 6 * MINUTE
  store.failNext('destroy')
  await t.throwsAsync(leaving.destroy(), { code: 'ERR_SESSION_CONFLICT' })
  t.not(await manager.find(login.id), undefined)
})

test('violation 8: an object is never made of the parts of two changes', async (t) => {
  const become =
    (by: string, part: object): Action =>
    (actor) => {
      const account = JSON.parse(String(actor.get('account'))) as object
      const value = JSON.stringify({ ...account, ...part })
      actor.change({ kind: 'alter', key: 'account', value }, (session) => {
        Object.assign(session.get('account') ?? {}, part)
      })
      actor.change({ kind: 'set', key: 'by', value: by }, (session) => void session.set('by', by))
    }
  const before: readonly Action[] = [
    (actor) => {
      const account = { id: 'A', admin: false }
      actor.change({ kind: 'set', key: 'account', value: JSON.stringify(account) }, (session) => {
        session.set('account', account)
      })
    },
    actions.commit,
  ]
  const seen = new Set<unknown>()
  const { wrong } = await everyOrder({
    requests: [
      [become('a', { id: 'B' })],
      [
        (actor) => {
          // Rights are granted to A.
          if (String(actor.get('account')).includes('"A"')) void become('b', { admin: true })(actor)
        },
      ],
    ],
    before,
    verify: ({ living }) => {
      const account = living()[0]?.get('account')
      seen.add(account)
      return account === '{"id":"B","admin":true}' && living()[0]?.get('by') === 'b'
        ? 'it is a chimera'
        : undefined
    },
  })
  t.is(wrong, undefined)
  t.true(seen.size > 1)
})

test('violation 9: a move that is taken back ends the session where another request has moved it on to', async (t) => {
  const backend = new Backend()
  const store = new HookedStore(new HonestStore(backend))
  const options = { rotateAfter: 2 * MINUTE, store, now: () => backend.time, sweepInterval: 0 }
  const manager = new SessionManager(options)
  const id = await begin(manager)
  backend.time += 3 * MINUTE
  const [rotating, login, leaving] = [
    await find(manager, id),
    await find(manager, id),
    await find(manager, id),
  ]
  answer(rotating)
  const [redirected, buried] = [new Gate(), new Gate()]
  store.after = async ({ verb, caller: by }) => {
    if (by === 'rotate' && verb === 'replace') await redirected.pass()
    if (by === 'leave' && verb === 'create') await buried.pass()
  }
  const rotation = caller.run('rotate', async () => rotating.set('a', 1).commit())
  await redirected.arrived
  // The log-in follows the redirect and moves the session on.
  t.is(await manager.regenerate(login), 'ok')
  const logout = caller.run('leave', async () => leaving.destroy())
  await buried.arrived
  // The rotation finds the tombstone, and takes its move back before the logout has followed it.
  redirected.open()
  t.is(await rotation, 'gone')
  buried.open()
  await logout
  t.is(await manager.find(login.id), undefined)
  t.is(await manager.find(id), undefined)
})

test('violation 10: a create that arrives late brings nothing back', async (t) => {
  const { manager, store } = open({})
  const session = manager.begin().set('user', 'ann')
  const arrive = store.delayNextCreate()
  t.is(await session.commit(), 'ok')
  const { id } = session
  await manager.destroy(id)
  await arrive()
  t.is(await manager.find(id), undefined)

  const known = manager.begin().set('user', 'ann')
  const told = known.id
  const arriveToo = store.delayNextCreate()
  await t.throwsAsync(known.commit(), { code: 'ERR_SESSION_STORE' })
  await t.throwsAsync(known.commit(), { code: 'ERR_SESSION_STORE' })
  await arriveToo()
  t.is(await known.commit(), 'ok')
  t.is(known.id, told)
  await manager.destroy(told)
  t.is(await manager.find(told), undefined)
  t.is(new Set(store.created).size, store.created.length, 'a key was created twice')
})

/** A store that loses answers on demand. */
class LossyStore extends HonestStore {
  readonly created: string[] = []
  #failing: string | undefined
  #isCreateLate = false
  #arrive: () => Promise<unknown> = async () => undefined

  /** The next call of the verb is not carried out, and not answered. */
  failNext(verb: string): void {
    this.#failing = verb
  }

  /** The next create is not answered, and is carried out when the function is called that this returns. */
  delayNextCreate(): () => Promise<unknown> {
    this.#isCreateLate = true
    return async () => this.#arrive()
  }

  override async create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    this.created.push(key)
    if (!this.#isCreateLate) return super.create(key, payload, expiresAt)
    this.#isCreateLate = false
    this.#arrive = async () => super.create(key, payload, expiresAt)
    throw lost()
  }

  override async destroy(...call: Parameters<HonestStore['destroy']>): ReturnType<HonestStore['destroy']> {
    if (this.#failing !== 'destroy') return super.destroy(...call)
    this.#failing = undefined
    throw lost()
  }
}

function lost(): SessionError {
  return new SessionError('ERR_SESSION_STORE', 'the answer was lost')
}

function open(options: { rotateAfter?: number; rotateGrace?: number }): {
  manager: SessionManager
  backend: Backend
  store: LossyStore
} {
  const backend = new Backend()
  const store = new LossyStore(backend)
  const now = (): number => backend.time
  return { manager: new SessionManager({ ...options, store, now, sweepInterval: 0 }), backend, store }
}

async function begin(manager: SessionManager): Promise<string> {
  const session = manager.begin().set('token', 1)
  await session.commit()
  return session.id
}

async function find(manager: SessionManager, id: string): Promise<Session> {
  const session = await manager.find(id)
  if (session === undefined) throw new Error('the session is not found')
  return session
}

/** The session has a client, which can be told a new ID. */
function answer(session: Session): void {
  stateOf(session).respondBy({
    update: () => {},
    canRotate: () => true,
    repeats: () => false,
    isDisconnected: () => false,
  })
}
