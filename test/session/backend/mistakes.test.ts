// A mistake in a program (a TypeError out of a store) is no trouble of the backend.
import assert from 'node:assert/strict'
import test from 'ava'
import { SessionManager, type ManagerOptions, type SessionEvent } from '../../../src/index.ts'
import { SpiedStore } from '../../support/spied-store.ts'

const mistakes: Readonly<Record<string, () => unknown>> = {
  TypeError: () => Reflect.get(Object(undefined), 'x').y,
  RangeError: () => Buffer.alloc(-1),
  ReferenceError: () => {
    throw new ReferenceError('client is not defined')
  },
  AssertionError: () => assert.equal('a driver', 'that asserts'),
}

function fixture(options: ManagerOptions<undefined> = {}): {
  readonly manager: SessionManager
  readonly store: SpiedStore
  readonly seen: (type: SessionEvent['type']) => number
} {
  const store = new SpiedStore()
  const events: SessionEvent[] = []
  const onEvent = (event: SessionEvent): void => void events.push(event)
  const manager = new SessionManager({ store, sweepInterval: 0, onEvent, ...options })
  return { manager, store, seen: (type) => events.filter((event) => event.type === type).length }
}

for (const [name, make] of Object.entries(mistakes)) {
  test(`a ${name} out of a store reaches the caller as the cause, does not count for the circuit breaker, and is not tried again`, async (t) => {
    const { manager, store, seen } = fixture()
    const first = manager.begin().set('n', 1)
    await manager.commit(first)
    for (const verb of ['read', 'create', 'replace', 'touch', 'destroy'] as const) {
      const opened = await manager.open(first.id)
      for (let times = 0; times < 7; times += 1) {
        store.before = (called) => void (called === verb && make())
        store.calls.length = 0
        const acts = {
          read: async () => manager.open(first.id),
          create: async () => manager.commit(manager.begin().set('n', 1)),
          replace: async () => manager.commit(opened.set('n', times + 2)),
          touch: async () => manager.health(),
          destroy: async () => manager.destroy(first.id),
        }
        if (verb === 'touch') continue
        const error = await t.throwsAsync(acts[verb](), undefined, `${verb} ${times}`)
        if (verb !== 'replace' || times === 0) {
          t.like(error, { code: 'ERR_SESSION_STORE', answered: false, status: 503 })
          t.regex(
            error.message,
            new RegExp(`^memory: ${verb} failed: an? ${name} in the store, its client or driver`),
          )
          t.is(error.cause instanceof Error && error.cause.name, name)
          t.is(store.calls.filter((called) => called === verb).length, 1, `${verb} is called once`)
        }
      }
      store.before = () => {}
    }
    t.is(seen('store-down'), 0)
    t.true(seen('store-failed') >= 20)
    t.is((await manager.open(first.id)).get('n'), 1)
  })
}

test('a TypeError that carries trouble of the network, as those of fetch do, counts as silence', async (t) => {
  for (const code of ['ECONNREFUSED', 'UND_ERR_SOCKET', 'ETIMEDOUT', 'DEPTH_ZERO_SELF_SIGNED_CERT']) {
    const { manager, store, seen } = fixture()
    const session = manager.begin().set('n', 1)
    await manager.commit(session)
    const { id } = session
    const cause = Object.assign(new Error('trouble'), { code })
    store.before = () => {
      throw new TypeError('fetch failed', {
        cause: code === 'ETIMEDOUT' ? new AggregateError([cause]) : cause,
      })
    }
    for (let times = 0; times < 5; times += 1) {
      const error = await t.throwsAsync(manager.open(id), { code: 'ERR_SESSION_STORE' })
      t.is(error.message, 'memory: read failed')
    }
    t.is(seen('store-down'), 1, code)
  }
})

test.serial('a mistake that ends a probe leaves the circuit open, and a later probe closes it', async (t) => {
  const { manager, store, seen } = fixture()
  const session = manager.begin().set('n', 1)
  await manager.commit(session)
  store.before = () => {
    throw new Error('reset')
  }
  for (let times = 0; times < 5; times += 1) await t.throwsAsync(manager.open(session.id))
  t.is(seen('store-down'), 1)
  const now = performance.now.bind(performance)
  let ahead = 1_500
  performance.now = () => now() + ahead
  t.teardown(() => void (performance.now = now))
  store.before = () => {
    throw new TypeError('a mistake')
  }
  await t.throwsAsync(manager.open(session.id), { message: /a TypeError/ })
  await t.throwsAsync(manager.open(session.id), { message: /circuit breaker open/ })
  store.before = () => {}
  ahead += 1_500
  t.is((await manager.open(session.id)).get('n'), 1)
  t.is(seen('store-up'), 1)
})
