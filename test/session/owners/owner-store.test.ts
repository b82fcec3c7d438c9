// The records of owners in a store of their own, and stores that forget records.
import { randomBytes } from 'node:crypto'
import test from 'ava'
import { SessionManager, type ManagerOptions, type Store } from '../../../src/index.ts'
import { ownerKey } from '../../../src/session/owners/owner.ts'
import { MemoryStore } from '../../../src/stores/memory.ts'

const seal = { keys: [randomBytes(32)] }

/** A store that counts what is asked of it, by verb. */
function counted(store: Store): { readonly store: Store; readonly calls: Map<string, number> } {
  const calls = new Map<string, number>()
  const handler: ProxyHandler<Store> = {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return (...args: readonly unknown[]): unknown => {
        calls.set(String(name), (calls.get(String(name)) ?? 0) + 1)
        return Reflect.apply(value, target, args) as unknown
      }
    },
  }
  return { store: new Proxy(store, handler), calls }
}

/** Signs `ann` in, and returns the session's ID. */
async function signedIn(manager: SessionManager, device?: string): Promise<string> {
  const session = manager.begin()
  session.signIn('ann', device === undefined ? {} : { device })
  await session.commit()
  return session.id
}

test('with owners.store the records of owners are there, and the sessions where they were', async (t) => {
  const sessions = new MemoryStore()
  const owners = new MemoryStore()
  const manager = new SessionManager({ store: sessions, owners: { store: owners } })
  const [laptop, phone] = [await signedIn(manager), await signedIn(manager)]
  t.is(await owners.count(), 1)
  t.is(await sessions.count(), 2)
  t.is((await manager.sessionsOf('ann').list()).length, 2)
  t.is(await manager.sessionsOf('ann').endAll(), 2)
  for (const id of [laptop, phone]) t.is(await manager.find(id), undefined)
  t.is(await sessions.count(), 0)
  await manager.close()
})

test('a record that the sessions store would have lost is there, and one that is lost ends its sessions', async (t) => {
  let now = 1_750_000_000_000
  const sessions = new MemoryStore({ now: () => now })
  const owners = new MemoryStore({ now: () => now })
  const options: ManagerOptions<undefined> = {
    store: sessions,
    owners: { store: owners, verifyEvery: 60_000 },
    now: () => now,
  }
  const id = await signedIn(new SessionManager(options))
  const other = new SessionManager(options)
  t.is((await other.find(id))?.owner?.id, 'ann')
  t.is(await owners.destroy(ownerKey({ id: 'ann' }, 'sha256')), 'ok')
  now += 60_000
  const lost = await other.find(id)
  t.is(await lost?.set('n', 1).commit(), 'gone')
  t.is(await other.find(id), undefined)
})

test('both stores are opened, swept and closed with the manager, and both are sealed', async (t) => {
  let now = 1_750_000_000_000
  const sessions = counted(new MemoryStore({ now: () => now }))
  const memory = new MemoryStore({ now: () => now })
  const payloads: string[] = []
  const owners = counted({
    ...verbsOf(memory),
    create: async (key, payload, expiresAt) => {
      payloads.push(payload)
      return memory.create(key, payload, expiresAt)
    },
  })
  const manager = new SessionManager({
    store: sessions.store,
    owners: { store: owners.store },
    seal,
    now: () => now,
  })
  await manager.ready()
  await signedIn(manager)
  t.is(payloads.length, 1)
  t.notRegex(payloads.join(), /role=owner/)
  now += 9 * 24 * 3_600_000
  t.is(await manager.sweep(), 2)
  await manager.close()
  t.is(sessions.calls.get('close'), 1)
  t.is(owners.calls.get('close'), 1)
})

function verbsOf(store: MemoryStore): Store & { sweep: MemoryStore['sweep'] } {
  return {
    traits: store.traits,
    read: async (key, extendTo) => store.read(key, extendTo),
    create: async (key, payload, expiresAt) => store.create(key, payload, expiresAt),
    replace: async (key, payload, expiresAt, base) => store.replace(key, payload, expiresAt, base),
    touch: async (key, expiresAt) => store.touch(key, expiresAt),
    destroy: async (key, base) => store.destroy(key, base),
    close: async () => store.close(),
    sweep: async (limit) => store.sweep(limit),
  }
}

test('an owners.store that is down refuses sign-ins, and sessions go on', async (t) => {
  const down = verbsOf(new MemoryStore())
  const fail = async (): Promise<never> => Promise.reject(new Error('down'))
  const manager = new SessionManager({ owners: { store: { ...down, read: fail, create: fail } } })
  for (let tries = 0; tries < 8; tries += 1) {
    // oxlint-disable-next-line no-await-in-loop -- the circuit counts failures in a row
    await t.throwsAsync(signedIn(manager), { code: 'ERR_SESSION_STORE' })
  }
  const session = manager.begin()
  session.set('n', 1)
  t.is(await session.commit(), 'ok')
  t.is((await manager.find(session.id))?.get('n'), 1)
})

test('where a store may forget records, verifyEvery must be given', async (t) => {
  const evicting = (shared = true): Store => {
    const store = verbsOf(new MemoryStore())
    return { ...store, traits: { ...store.traits, shared, evicts: true } }
  }
  const silent = new SessionManager({ store: evicting() })
  const expected = {
    code: 'ERR_SESSION_OPTIONS',
    message: /owners\.verifyEvery: must be given: the memory store/,
  }
  t.throws(() => silent.sessionsOf('ann'), expected)
  t.throws(() => silent.begin().signIn('ann'), expected)
  t.notThrows(() => new SessionManager({ store: evicting(false) }).sessionsOf('ann'))
  for (const owners of [{ verifyEvery: 1_000 }, { verifyEvery: 0 }, { store: new MemoryStore() }]) {
    const manager = new SessionManager({ store: evicting(), owners })
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    t.is((await manager.find(await signedIn(manager)))?.owner?.id, 'ann')
  }
})

test('an owners.store that cannot be one is refused', (t) => {
  const store = new MemoryStore()
  const given: readonly [object, RegExp][] = [
    [{ store, owners: { store } }, /owners\.store: is the store of the sessions/],
    [{ owners: { store: {} } }, /owners\.store: is not a store/],
    [{ owners: { store: 5 } }, /owners\.store: must be a store/],
    [
      {
        owners: {
          store: Object.assign(new MemoryStore(), { traits: { ...store.traits, location: 'client' } }),
        },
      },
      /owners\.store: must be a store that/,
    ],
  ]
  for (const [options, message] of given)
    t.throws(() => new SessionManager(options), { code: 'ERR_SESSION_OPTIONS', message })
})

test('the request that signs in is told whether the device is new', async (t) => {
  const manager = new SessionManager()
  const signIn = async (device?: string): Promise<boolean | undefined> => {
    const session = manager.begin()
    session.signIn('ann', device === undefined ? {} : { device })
    t.is(session.owner?.isNewDevice, undefined)
    await session.commit()
    t.is(session.owner?.handle, session.handle)
    return session.owner?.isNewDevice
  }
  t.deepEqual(
    [await signIn('laptop'), await signIn('laptop'), await signIn('phone'), await signIn()],
    [true, false, true, false],
  )
  const id = await signedIn(manager, 'phone')
  t.false('isNewDevice' in ((await manager.open(id)).owner ?? { isNewDevice: true }))
})
