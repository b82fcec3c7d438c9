import test from 'ava'
import { SessionManager } from '../../src/index.ts'
import { migrate, type MigratingStore } from '../../src/migrate/index.ts'
import type { Store } from '../../src/store.ts'
import { sharedEngine } from './shared.ts'
import { makeStore, PATIENCE } from './stores.ts'
import { allowLongRun } from '../support/long-run.ts'

/** `KTS_SESSIONS=1000` for the long run. */
const SESSIONS = Number(process.env['KTS_SESSIONS'] ?? 200)
const PROCESSES = 3
/** How many requests are under way at a time. */
const AT_ONCE = 16
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const UNTIL = new Date('2100-01-01')

/** A session as its client knows it. */
interface Client {
  id: string
  /** How many increments were acknowledged. */
  n: number
  hasLoggedOut: boolean
  /** The IDs that it had before, and after a logout all of them. */
  readonly oldIds: string[]
  isBusy: boolean
}

/** One process of the application. */
interface Process {
  readonly manager: SessionManager
  readonly store: Store & Partial<Pick<MigratingStore, 'moved'>>
  running: number
}

/** An application of several processes that is under load while its engine is changed. */
class Application {
  readonly wrong: string[] = []
  readonly clients: Client[] = []
  moved = 0
  requests = 0
  readonly #from: () => Store
  readonly #to: () => Store
  readonly #processes: Process[] = []
  #ahead = 0
  #choice = 1
  #isOver = false

  constructor(from: () => Store, to: () => Store) {
    this.#from = from
    this.#to = to
  }

  /** Starts all processes at step 0, and signs all clients in. */
  async begin(): Promise<void> {
    for (let at = 0; at < PROCESSES; at += 1) this.#processes.push(this.#start(0))
    const lanes = Array.from({ length: AT_ONCE }, async (_, lane) => {
      for (let at = lane; at < SESSIONS; at += AT_ONCE) await this.logIn()
    })
    await Promise.all(lanes)
  }

  /** Makes load until `work` is done and each client has come back since it began. */
  async during(work: () => Promise<void>): Promise<void> {
    let isDone = false
    const visits = new Set<Client>()
    const unseen = (): Client | undefined =>
      this.clients.find((client) => !client.isBusy && !client.hasLoggedOut && !visits.has(client))
    const lanes = Array.from({ length: AT_ONCE }, async () => {
      for (;;) {
        const idle = this.clients.filter(({ isBusy, hasLoggedOut }) => !isBusy && !hasLoggedOut)
        const client = isDone ? unseen() : idle[this.#pick(idle.length)]
        if (client === undefined && isDone) return
        if (client === undefined) {
          await this.logIn()
          continue
        }
        client.isBusy = true
        visits.add(client)
        await this.#visit(client)
        client.isBusy = false
      }
    })
    const working = work().finally(() => (isDone = true))
    await Promise.all([working, ...lanes])
  }

  /** Replaces one process after another by one of the next version. */
  async deploy(step: 0 | 1 | 2 | 3): Promise<void> {
    for (const [at, old] of this.#processes.entries()) {
      this.#processes[at] = this.#start(step)
      await new Promise((resolve) => setTimeout(resolve, 50))
      await this.#stop(old)
    }
  }

  /** Lets so much time pass for the managers and their stores. */
  pass(ms: number): void {
    this.#ahead += ms
  }

  /** From now on the old store is not asked any more. */
  end(): void {
    this.#isOver = true
  }

  async close(): Promise<void> {
    await Promise.all(this.#processes.map(async (process) => this.#stop(process)))
  }

  /** Looks at every client with every process: those that are logged in are, and those that are not are not. */
  async look(): Promise<void> {
    const clients = this.clients.values()
    const lanes = Array.from({ length: AT_ONCE }, async () => {
      for (const client of clients)
        for (const { manager } of this.#processes) await this.#lookAt(client, manager)
    })
    await Promise.all(lanes)
  }

  async #lookAt({ id, n, hasLoggedOut, oldIds }: Client, manager: SessionManager): Promise<void> {
    const session = await manager.find(id, { passive: true })
    if (hasLoggedOut && session !== undefined) this.wrong.push('an ended session is back')
    if (!hasLoggedOut && session?.get('n') !== n)
      this.wrong.push(`n is ${String(session?.get('n'))}, not ${n}`)
    for (const old of oldIds)
      if ((await manager.find(old, { passive: true })) !== undefined) this.wrong.push('an old ID opens')
  }

  async logIn(): Promise<void> {
    await this.#with(async ({ manager }) => {
      const session = manager.begin()
      session.set('n', 0)
      session.signIn(`user ${this.clients.length % 20}`)
      await session.commit()
      this.clients.push({ id: session.id, n: 0, hasLoggedOut: false, oldIds: [], isBusy: false })
    })
  }

  async #visit(client: Client): Promise<void> {
    await this.#with(async ({ manager }) => {
      const session = await manager.find(client.id)
      if (session === undefined) {
        this.wrong.push('a client is logged out')
        client.hasLoggedOut = true
        return
      }
      const kind = this.#pick(100)
      if (kind < 20) {
        if (session.get('n') !== client.n) this.wrong.push(`n is ${session.get('n')}, not ${client.n}`)
      } else if (kind < 22 && this.clients.length > SESSIONS / 2) {
        await session.destroy()
        client.hasLoggedOut = true
      } else {
        if (kind < 30) session.regenerate()
        session.update('n', (n = 0) => n + 1)
        await session.commit()
        client.n += 1
        if (session.id !== client.id) client.oldIds.push(client.id)
        client.id = session.id
      }
    })
  }

  async #with(act: (process: Process) => Promise<void>): Promise<void> {
    const process = this.#processes[this.#pick(this.#processes.length)]
    if (process === undefined) throw new Error('no process runs')
    process.running += 1
    this.requests += 1
    try {
      await act(process)
    } catch (error) {
      this.wrong.push(`a request fails: ${error instanceof Error ? error.message : ''}`)
    } finally {
      process.running -= 1
    }
  }

  #start(step: 0 | 1 | 2 | 3): Process {
    const now = (): number => Date.now() + this.#ahead
    const until = this.#isOver ? new Date(0) : UNTIL
    const store =
      step === 0
        ? this.#from()
        : step === 3
          ? this.#to()
          : step === 1
            ? migrate({ to: this.#from(), from: this.#to(), until, now })
            : migrate({ to: this.#to(), from: this.#from(), until, now })
    const manager = new SessionManager({
      store,
      now,
      idleTimeout: 24 * HOUR,
      openTimeout: PATIENCE,
      commitTimeout: PATIENCE,
      owners: { max: 1_000 },
    })
    return { manager, store, running: 0 }
  }

  async #stop(process: Process): Promise<void> {
    while (process.running > 0) await new Promise((resolve) => setTimeout(resolve, 5))
    this.moved += process.store.moved ?? 0
    await process.manager.close()
  }

  #pick(count: number): number {
    this.#choice = (this.#choice * 48_271) % 2_147_483_647
    return count === 0 ? 0 : this.#choice % count
  }
}

const changes: readonly (readonly [from: string, to: string])[] = [
  ['file', 'redis'],
  ['mysql', 'postgres'],
  ['redis', 'couchbase'],
]

for (const [from, to] of changes) {
  test.serial(
    `${from} is changed for ${to} under load, rolled back and changed again: of ${SESSIONS} clients none is logged out, no write is lost and nothing ended comes back`,
    async (t) => {
      allowLongRun(t, 600_000)
      const [old, next] = [await sharedEngine(from), await sharedEngine(to)]
      const application = new Application(
        () => makeStore(from, old.config, PATIENCE),
        () => makeStore(to, next.config, PATIENCE),
      )
      await application.begin()
      for (const step of [1, 2, 1, 2] as const) {
        await application.during(async () => application.deploy(step))
        // So that sessions may move back.
        application.pass(11 * MINUTE)
        await application.during(async () => {})
      }
      const living = application.clients.filter(({ hasLoggedOut }) => !hasLoggedOut)
      t.log(`${application.requests} requests, ${application.clients.length} sessions, ${living.length} live`)
      t.true(living.length < application.clients.length)
      application.pass(2 * HOUR)
      await application.look()
      application.end()
      await application.during(async () => application.deploy(3))
      await application.look()
      await application.close()
      t.log(`${application.moved} entries were moved`)
      t.true(application.moved > 2 * SESSIONS)
      t.deepEqual([...new Set(application.wrong)], [])
    },
  )
}
