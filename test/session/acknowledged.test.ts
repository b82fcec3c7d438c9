import test from 'ava'
import { SessionError } from '../../src/errors.ts'
import { SessionManager } from '../../src/session/manager.ts'
import { stateOf, type Session } from '../../src/session/session.ts'
import type { ManagerOptions } from '../../src/session/options.ts'
import { SpiedStore } from '../support/spied-store.ts'

// What random walks of the simulation have found, one walk a test.

const MINUTE = 60_000
const conflict = { code: 'ERR_SESSION_CONFLICT' }

test('a claim after a look at the key is no reason to refuse what is set there next', async (t) => {
  for (const isolation of ['snapshot', 'serializable'] as const) {
    const { find } = await world({ isolation }, { token: 1 })
    const session = await find()
    t.true(session.has('token'))
    t.is(await session.claim('token'), 1)
    t.is(await session.set('token', 2).commit(), 'ok')
    t.is((await find()).get('token'), 2)
  }
})

test("with isolation 'serializable' one of two requests that take a value, or have deleted or set it as it was, is refused", async (t) => {
  const acts: readonly ((session: Session) => unknown)[] = [
    (session) => session.take('a'),
    (session) => [session.take('a'), session.set('a', 3)],
    (session) => [session.get('a'), session.delete('a')],
    (session) => session.set('a', session.get('a')),
    (session) => [session.update('a', (n: number) => n + 1), session.clear()],
  ]
  for (const act of acts) {
    const { find } = await world({ isolation: 'serializable' }, { a: 1, b: 1 })
    const [one, other] = [await find(), await find()]
    act(one)
    one.set('own', 1)
    t.is(await other.set('a', 2).commit(), 'ok')
    await t.throwsAsync(one.commit(), conflict)
    t.is((await find()).get('a'), 2)
  }
})

test('what an update has returned counts as read once another request has changed it', async (t) => {
  const { find } = await world({}, { n: 1 })
  const [one, other] = [await find(), await find()]
  const seen = one.update('n', (n: number) => n + 1)
  t.is(await other.set('n', 10).commit(), 'ok')
  t.is(await one.commit(), 'ok')
  one.set('n', seen * 2)
  await t.throwsAsync(one.commit(), conflict)
  t.is((await find()).get('n'), 11)
})

test('an update that is read again after a commit may be followed by a set', async (t) => {
  const { find } = await world({}, { n: 1 })
  const [one, other] = [await find(), await find()]
  one.update('n', (n: number) => n + 1)
  t.is(await other.set('n', 10).commit(), 'ok')
  t.is(await one.commit(), 'ok')
  one.set('n', one.get('n') * 2)
  t.is(await one.commit(), 'ok')
  t.is((await find()).get('n'), 22)
})

test('what a clear has removed is read nevertheless', async (t) => {
  const { find } = await world({}, { n: 1 })
  const [one, other] = [await find(), await find()]
  one.update('n', (n: number) => n + 1)
  one.clear()
  one.set('n', 5)
  t.is(await other.set('n', 10).commit(), 'ok')
  await t.throwsAsync(one.commit(), conflict)
})

test('a clear and then a set to the value of before is a change', async (t) => {
  const { find } = await world({}, { n: 1 })
  const [one, other] = [await find(), await find()]
  const n = one.get('n')
  one.clear()
  one.set('n', n).set('own', 1)
  t.is(await other.set('n', 10).commit(), 'ok')
  await t.throwsAsync(one.commit(), conflict)
  t.is((await find()).get('n'), 10)
})

test('a clear wins over a change, although an update after it had nothing to count', async (t) => {
  const { find } = await world({}, { n: 1, a: 1 })
  const [one, other] = [await find(), await find()]
  one.get('n')
  one.clear()
  t.is(
    one.update('n', (n?: number) => (n === undefined ? undefined : n + 1)),
    undefined,
  )
  one.set('own', 1)
  t.is(await other.set('n', 10).commit(), 'ok')
  t.is(await one.commit(), 'ok')
  t.deepEqual([...(await find()).keys()], ['own'])
})

test('what a request has read of a session that it has emptied does not count in the next one', async (t) => {
  const { find } = await world({}, { n: 1 })
  const [one, other] = [await find(), await find()]
  one.get('a')
  one.clear()
  t.is(await other.set('a', 10).commit(), 'ok')
  t.is(await one.commit(), 'ok')
  t.is(await one.set('a', 1).commit(), 'ok')
})

test('keys reads what an earlier commit of the request has set, too', async (t) => {
  const { find } = await world({}, { n: 1 })
  const [one, other] = [await find(), await find()]
  t.is(await one.set('a', 1).commit(), 'ok')
  t.deepEqual([...one.keys()], ['n', 'a'])
  t.is(await (await find()).set('a', 2).commit(), 'ok')
  await t.throwsAsync(one.set('a', 3).commit(), conflict)
  t.is(await other.set('a', 4).commit(), 'ok')
})

test('a claim that asks nothing of the store does not make a request younger', async (t) => {
  const { find, pass, manager } = await world({}, { n: 1 })
  const [old, login] = [await find(), await find()]
  await manager.regenerate(login)
  pass(6 * MINUTE)
  t.is(await old.claim('absent'), undefined)
  await t.throwsAsync(old.set('a', 1).commit(), conflict)
})

test('a commit of unknown outcome that finds nothing later is an error where the session may have a new ID', async (t) => {
  const { find, pass, manager, store } = await world({}, { n: 1 })
  const [old, login] = [await find(), await find()]
  lose(store, ['replace', 'read'])
  await t.throwsAsync(old.set('a', 1).commit(), { code: 'ERR_SESSION_STORE' })
  await manager.regenerate(login)
  pass(6 * MINUTE)
  await t.throwsAsync(old.commit(), conflict)
})

test('an ID whose record may still arrive is not used by the next commit either', async (t) => {
  const { manager, store } = await world({}, { n: 1 })
  const session = manager.begin().set('a', 1)
  const before = new Set(store.keys)
  lose(store, ['create', 'read', 'create', 'read'])
  await t.throwsAsync(session.commit(), { code: 'ERR_SESSION_STORE' })
  const tried = [...store.keys].filter((key) => !before.has(key))
  t.is(tried.length, 2)
  t.is(await session.commit(), 'ok')
  t.false(tried.includes(stateOf(session).storedKey))
})

test('a session whose removal may have taken place is not built upon', async (t) => {
  const { find, store } = await world({}, { n: 1 })
  const session = await find()
  session.delete('n')
  lose(store, ['destroy after', 'read'])
  await t.throwsAsync(session.commit(), { code: 'ERR_SESSION_STORE' })
  session.set('n', 1)
  t.is(await session.commit(), 'gone')
})

test('a rotation whose redirect is stored counts its changes once, whatever cannot be read afterwards', async (t) => {
  for (const faults of [
    // The tombstone cannot be read.
    ['replace', undefined, 'read', 'read'],
    // Nor whether the redirect is there.
    ['replace after', 'read', 'read'],
  ] as const) {
    const { find, pass, manager, store } = await world(
      { rotateAfter: 2 * MINUTE, rotateGrace: MINUTE },
      { n: 1 },
    )
    pass(3 * MINUTE)
    const session = await find()
    answer(session)
    session.update('n', (n: number) => n + 1)
    if (faults[1] === undefined) loseAfter(store, 'replace', 2)
    else lose(store, faults)
    const outcome = await session.commit().catch(async () => session.commit())
    t.is(outcome, 'ok')
    t.is((await find()).get('n'), 2)
    t.is(await manager.commit(session), 'ok')
    t.is((await find()).get('n'), 2)
  }
})

test('a rotation whose redirect arrives late loses nothing', async (t) => {
  const { find, pass, store } = await world({ rotateAfter: 2 * MINUTE, rotateGrace: MINUTE }, { n: 1 })
  pass(3 * MINUTE)
  const session = await find()
  answer(session)
  const arrive = delay(store)
  await t.throwsAsync(session.commit(), { code: 'ERR_SESSION_STORE' })
  await arrive()
  t.is((await find()).get('n'), 1)
})

interface World {
  readonly manager: SessionManager
  readonly store: SpiedStore
  /** Opens the one session. */
  readonly find: () => Promise<Session>
  readonly pass: (ms: number) => void
}

/** A session that holds `values`. */
async function world(options: ManagerOptions<undefined>, values: Record<string, unknown>): Promise<World> {
  let clock = 1_750_000_000_000
  const now = (): number => clock
  const store = new SpiedStore(now)
  const manager = new SessionManager({ ...options, store, now, sweepInterval: 0 })
  const first = manager.begin()
  for (const [key, value] of Object.entries(values)) first.set(key, value)
  await first.commit()
  const { id } = first
  const find = async (): Promise<Session> => {
    const session = await manager.find(id)
    if (session === undefined) throw new Error('the session is not found')
    return session
  }
  return { manager, store, find, pass: (ms) => void (clock += ms) }
}

/** The next calls fail, if they are these: before they are carried out, or after. */
function lose(store: SpiedStore, faults: readonly (string | undefined)[]): void {
  const left = [...faults]
  store.before = (verb) => {
    if (left[0] === verb) throw lost(left)
  }
  store.after = (verb) => {
    if (left[0] === `${verb} after`) throw lost(left)
  }
}

/** So many reads fail after the next call of the verb. */
function loseAfter(store: SpiedStore, verb: string, reads: number): void {
  store.after = (called) => {
    if (called === verb)
      lose(
        store,
        Array.from({ length: reads }, () => 'read'),
      )
  }
}

/** The next `replace` is lost, as is what would tell; it is carried out when the result is called. */
function delay(store: SpiedStore): () => Promise<unknown> {
  const { inner } = store
  const replace = inner.replace.bind(inner)
  let late: () => Promise<unknown> = async () => undefined
  let isOver = false
  inner.replace = async (...call) => {
    if (isOver) return replace(...call)
    late = async () => replace(...call)
    lose(store, ['read', 'read'])
    isOver = true
    throw lost([])
  }
  return async () => late()
}

function lost(left: unknown[]): SessionError {
  left.shift()
  return new SessionError('ERR_SESSION_STORE', 'the answer was lost')
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
