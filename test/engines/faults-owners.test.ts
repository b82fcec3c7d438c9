// What becomes of the sessions of an owner when the store fails at any call that signs in, lists or ends them.
import test, { type ExecutionContext } from 'ava'
import { SessionManager } from '../../src/index.ts'
import { ownerKey } from '../../src/session/owners/owner.ts'
import { freshDatabase, privateMariadb } from '../servers/mariadb.ts'
import { startMemcached } from '../servers/memcached.ts'
import { emptyDatabase, startPostgres } from '../servers/postgres.ts'
import { TappedStore } from '../support/tapped-store.ts'
import { attempt, judge, ownerActs, ownerScene } from './owner-acts.ts'
import { proxiedEngines, type ProxiedEngine } from './proxied.ts'
import { reserveEngines } from './reserve.ts'
import { makeStore, PATIENCE } from './stores.ts'
import { allowLongRun } from '../support/long-run.ts'

const reserve = reserveEngines()
/** A store that may forget entries wants to be told. */
const owners = { verifyEvery: 300_000 }

interface Fault {
  readonly begin: (proxy: ProxiedEngine['proxy']) => void
  /** At which of its writes an act meets it. */
  readonly at: 'each write' | 'the first write'
  /** How long the process waits, in ms: long where the store is to answer again meanwhile. */
  readonly timeout: number
  /** Whether calls may arrive after they were given up. */
  readonly isLate: boolean
}

const SHORT = 400
const LONG = 20_000

async function run(t: ExecutionContext, provider: string, fault: Fault): Promise<void> {
  allowLongRun(t, 300_000)
  const engine = await reserve(t, provider)
  const { proxy } = engine
  const eye = engine.store(PATIENCE)
  const patience = { openTimeout: PATIENCE, commitTimeout: PATIENCE, owners }
  const witness = new SessionManager({ store: eye, ...patience })
  const { timeout } = fault
  const tap = new TappedStore(engine.store(timeout))
  t.teardown(async () => {
    proxy.mend()
    await tap.close()
    await witness.close()
  })
  /** A process whose store answers. It is new, so it need not wait until it calls a store again that was down. */
  const recovered = async (): Promise<SessionManager> => {
    const manager = new SessionManager({ store: tap, openTimeout: timeout, commitTimeout: timeout, owners })
    while (!(await manager.health(5_000)).ok);
    return manager
  }
  /** Does it once without a fault: so all connections are open, and all statements are prepared. */
  async function calm(name: string): Promise<readonly string[]> {
    for (let tries = 1; ; tries += 1) {
      const scene = await ownerScene(await recovered(), witness, `${provider} ${name}, calm ${tries}`)
      tap.calls.length = 0
      try {
        await ownerActs[name]?.(scene, t)
        return [...tap.calls]
      } catch (error) {
        if (tries === 20) throw error // on a busy machine it may take longer than its deadline
      }
    }
  }
  let [scenes, failed] = [0, 0]
  for (const name of Object.keys(ownerActs)) {
    const verbs = await calm(name)
    const writes = verbs.flatMap((verb, at) => (verb === 'read' ? [] : [at]))
    const [first = 0] = writes
    const chosen = fault.at === 'each write' && writes.length > 0 ? writes : [first]
    for (const at of chosen) {
      const scene = await ownerScene(await recovered(), witness, `${provider} ${name} ${at}`)
      let calls = 0
      tap.before = () => {
        if (calls === at) fault.begin(proxy)
        calls += 1
      }
      const { isDone, holds } = await attempt(t, name, scene)
      tap.before = () => {}
      proxy.mend()
      scenes += 1
      if (!isDone) failed += 1
      await recovered()
      await judge(t, name, scene, holds, eye, fault.isLate)
    }
  }
  t.log(`${failed} of ${scenes} acts were reported as failed`)
  t.true(scenes >= Object.keys(ownerActs).length)
}

for (const provider of Object.keys(proxiedEngines)) {
  test(`F2: ${provider}: when the store dies at any write of a sign-in, list, end, endAll or refresh, none claims what did not happen, and one list finishes it`, async (t) => {
    await run(t, provider, { begin: (proxy) => proxy.cut(), at: 'each write', timeout: SHORT, isLate: false })
  })

  test(`F3, F5: ${provider}: when the store falls silent before the first write of a sign-in, list, end, endAll or refresh, and the write arrives late, none claims what did not happen, and one list finishes it`, async (t) => {
    await run(t, provider, {
      begin: (proxy) => proxy.stall(),
      at: 'the first write',
      timeout: SHORT,
      isLate: true,
    })
  })

  test(`F5: ${provider}: when the answer to any write of a sign-in, list, end, endAll or refresh is lost, what is acknowledged holds, and one list finishes the rest`, async (t) => {
    await run(t, provider, {
      begin: (proxy) => proxy.dropReply(),
      at: 'each write',
      timeout: LONG,
      isLate: false,
    })
  })
}

test('F10: memcache: when the record of an owner is evicted, its sessions end when they are looked for, and endAll claims none of them', async (t) => {
  const engine = await reserve(t, 'memcache')
  const store = engine.store(PATIENCE)
  const manager = new SessionManager({ store, owners: { verifyEvery: 0 } })
  t.teardown(async () => manager.close())
  const { ids, since, owner } = await ownerScene(manager, manager, 'evicted')
  await store.destroy(ownerKey({ id: owner }, 'sha256'))
  t.is(await manager.sessionsOf(owner).endAll(), 0)
  for (const id of ids) t.is(await manager.find(id), undefined)
  const session = manager.begin()
  session.signIn(owner, { since })
  await t.throwsAsync(session.commit(), { code: 'ERR_SESSION_CONFLICT' })
  t.deepEqual(await manager.sessionsOf(owner).list(), [])
})

interface Mortal {
  readonly config: string
  kill(): Promise<unknown>
  restart(): Promise<unknown>
  stop(): Promise<unknown>
}

/** Servers that are killed, with the number of the fault. */
const mortals: Readonly<Record<string, readonly [fault: string, start: () => Promise<Mortal>]>> = {
  postgres: [
    'F8',
    async () => {
      const server = await startPostgres()
      const { url } = await emptyDatabase(server)
      return { config: url, kill: async () => server.crash(), restart: server.restart, stop: server.stop }
    },
  ],
  mysql: [
    'F9',
    async () => {
      const server = await privateMariadb()
      const { url } = await freshDatabase(server)
      return { config: url, kill: server.kill, restart: server.restart, stop: server.stop }
    },
  ],
}

for (const [provider, [fault, start]] of Object.entries(mortals)) {
  test(`${fault}: ${provider}: when the server is killed in the middle of a sign-in or endAll, and starts again, none claims what did not happen, and one list finishes it`, async (t) => {
    allowLongRun(t, 300_000)
    const { config, kill, restart, stop } = await start()
    const eye = makeStore(provider, config, PATIENCE)
    const witness = new SessionManager({ store: eye, openTimeout: PATIENCE, commitTimeout: PATIENCE, owners })
    const tap = new TappedStore(makeStore(provider, config, 5_000))
    t.teardown(async () => {
      await tap.close()
      await witness.close()
      await stop()
    })
    for (const name of ['signs in', 'ends all']) {
      const manager = new SessionManager({ store: tap, openTimeout: 5_000, commitTimeout: 5_000, owners })
      while (!(await manager.health(5_000)).ok);
      const scene = await ownerScene(manager, witness, name)
      let killed: Promise<unknown> | undefined
      let writes = 0
      tap.before = (verb) => {
        if (verb !== 'read') writes += 1
        if (writes === 2) killed ??= kill()
      }
      const { isDone, holds } = await attempt(t, name, scene)
      tap.before = () => {}
      await killed
      await restart()
      while (!(await witness.health(5_000)).ok);
      t.log(name, isDone ? 'was acknowledged' : 'was reported as failed')
      await judge(t, name, scene, holds, eye, false)
    }
  })
}

test('F10: memcache: when the server starts anew in the middle of endAll, no session is left, and endAll claims nothing else', async (t) => {
  const server = await startMemcached()
  const tap = new TappedStore(makeStore('memcache', server.url, 5_000))
  const manager = new SessionManager({ store: tap, openTimeout: 5_000, commitTimeout: 5_000, owners })
  const { ids, owner } = await ownerScene(manager, manager, 'ann')
  const stopping = new Promise<void>((resolve) => {
    tap.before = (verb) => {
      if (verb === 'destroy') resolve(server.stop())
    }
  })
  const ending = manager.sessionsOf(owner).endAll()
  const settled = ending.then(
    () => true,
    () => false,
  )
  await stopping
  const next = await startMemcached({ port: server.port })
  t.teardown(async () => {
    await manager.close()
    await next.stop()
  })
  t.log((await settled) ? 'endAll was acknowledged' : 'endAll was reported as failed')
  while (!(await manager.health(5_000)).ok);
  for (const id of ids) t.is(await manager.find(id), undefined)
  t.deepEqual(await manager.sessionsOf(owner).list(), [])
})
