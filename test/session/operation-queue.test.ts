import test from 'ava'
import { SessionManager, type ManagerOptions } from '../../src/index.ts'
import { HeldStore } from '../support/held-store.ts'

// The timers of a manager hold no process, and neither does a store that never answers.
const awake = setInterval(() => {}, 1_000)
test.after.always(() => clearInterval(awake))

const CLOSED = {
  code: 'ERR_SESSION_STATE',
  message:
    'the session manager is closed: close() the server first, and the manager when its requests are done',
}

class ClosingStore extends HeldStore {
  closings = 0
  override async close(): Promise<void> {
    this.closings += 1
  }
}

function fixture(options: ManagerOptions<undefined> = {}): { manager: SessionManager; store: ClosingStore } {
  const store = new ClosingStore()
  return { store, manager: new SessionManager({ store, ...options }) }
}

test('F21: close waits for the commits under way, all of their steps, and closes the store once', async (t) => {
  const { manager, store } = fixture()
  const session = manager.begin().set('n', 1)
  await manager.commit(session)
  const changing = (await manager.open(session.id)).set('n', 2)
  changing.regenerate()
  store.hold()
  const commit = manager.commit(changing)
  await new Promise(setImmediate)
  const closings = [manager.close(), manager.close()]
  await new Promise(setImmediate)
  t.is(store.closings, 0)
  store.release()
  t.is(await commit, 'ok')
  await Promise.all(closings)
  await manager.close()
  t.is(store.closings, 1)
  t.is(await store.count(), 2, 'the session, and the redirect under its old ID')
})

test('F21: what begins after close is refused with a sentence and asks the store nothing', async (t) => {
  const { manager, store } = fixture()
  const session = manager.begin().set('n', 1)
  await manager.commit(session)
  const changed = (await manager.open(session.id)).set('n', 2)
  await manager.close()
  store.calls.length = 0
  const error = await t.throwsAsync(manager.commit(changed), CLOSED)
  t.like(error, { status: 503 })
  await t.throwsAsync(manager.open(session.id), CLOSED)
  await t.throwsAsync(manager.commit(manager.begin().set('n', 1)), CLOSED)
  await t.throwsAsync(changed.destroy(), CLOSED)
  await t.throwsAsync(manager.count(), CLOSED)
  await t.throwsAsync(manager.sweep(), CLOSED)
  await t.throwsAsync(manager.ready(), CLOSED)
  t.deepEqual(store.calls, [])
  t.is(await manager.commit(manager.begin()), 'ok', 'a visitor who wrote nothing needs no store')
})

test('F21: a commit that hangs holds up close no longer than commitTimeout', async (t) => {
  const { manager, store } = fixture({ commitTimeout: 50 })
  store.hold()
  const commit = manager.commit(manager.begin().set('n', 1))
  const closing = manager.close()
  await t.throwsAsync(commit, { message: /commitTimeout/ })
  await closing
  t.is(store.closings, 1)
})

test('F21: a sweep that hangs and a store that does not close hold up close no longer than commitTimeout', async (t) => {
  const { manager, store } = fixture({ commitTimeout: 50 })
  store.sweep = async () => new Promise(() => {})
  store.close = async () => new Promise(() => {})
  const sweep = manager.sweep()
  await t.throwsAsync(manager.close(), {
    message: 'memory: close was not done within the 50 ms of commitTimeout',
  })
  t.is(await Promise.race([sweep, Promise.resolve('hangs')]), 'hangs')
})
