import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import path from 'node:path'

/** A process of the application. */
export class Server {
  readonly #child: ChildProcess
  readonly #agent: Agent
  readonly #port: number

  private constructor(child: ChildProcess, port: number, connections: number) {
    this.#child = child
    this.#port = port
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections })
  }

  static async start(args: readonly string[], connections: number): Promise<Server> {
    const script = path.resolve('bench/hammer/server.ts')
    const child = fork(script, args, {
      execArgv: ['--import=tsx'],
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    })
    const [line]: unknown[] = child.stdout === null ? [] : await once(child.stdout, 'data')
    return new Server(child, Number(String(line)), connections)
  }

  /** Asks for a path with a session's cookie. */
  async ask(target: string, cookie: string): Promise<Reply> {
    return new Promise((resolve) => {
      const headers = cookie === '' ? {} : { cookie }
      const sent = request(
        { agent: this.#agent, port: this.#port, host: '127.0.0.1', path: target, headers },
        (answer) => {
          let text = ''
          answer.setEncoding('utf8')
          answer.on('data', (chunk: string) => (text += chunk))
          answer.on('end', () => {
            const lines = answer.headers['set-cookie'] ?? []
            resolve({
              status: answer.statusCode ?? 0,
              text,
              cookies: lines.map((line) => line.split(';')[0] ?? ''),
            })
          })
        },
      )
      sent.on('error', () => resolve({ status: 0, text: '', cookies: [] }))
      sent.end()
    })
  }

  stop(): void {
    this.#agent.destroy()
    this.#child.kill('SIGKILL')
  }
}

/** An answer; status 0 if the connection broke. */
export interface Reply {
  readonly status: number
  readonly text: string
  readonly cookies: readonly string[]
}

/** What was acknowledged to the clients of one session, and what is there afterwards. */
class Ledger {
  readonly cookie: string
  #counted = 0
  #uncertain = 0
  readonly #written = new Map<string, { sent: number; acknowledged: number }>()

  constructor(cookie: string) {
    this.cookie = cookie
  }

  async count(server: Server, tally: Tally): Promise<void> {
    if (tally.note(await server.ask('/count', this.cookie))) this.#counted += 1
    else this.#uncertain += 1
  }

  async write(server: Server, key: string, tally: Tally): Promise<void> {
    const entry = this.#written.get(key) ?? { sent: 0, acknowledged: 0 }
    this.#written.set(key, entry)
    const value = (entry.sent += 1)
    if (tally.note(await server.ask(`/set?key=${key}&value=${value}`, this.cookie)))
      entry.acknowledged = value
  }

  async check(server: Server, tally: Tally): Promise<void> {
    const { status, text } = await server.ask('/all', this.cookie)
    const found: Record<string, unknown> = status === 200 ? JSON.parse(text) : {}
    const counter = Number(found['n'] ?? 0)
    tally.lost += Math.max(0, this.#counted - counter)
    tally.invented += Math.max(0, counter - this.#counted - this.#uncertain)
    for (const [key, { sent, acknowledged }] of this.#written) {
      const value = Number(found[key] ?? 0)
      if (value < acknowledged) tally.lost += 1
      if (value > sent) tally.invented += 1
    }
  }
}

/** What came of one scenario. */
export class Tally {
  acknowledged = 0
  /** Answers that say that the store or the contention was too much: 503. */
  refused = 0
  /** Answers that say that another request has changed the same: 409. */
  conflicts = 0
  /** Any other answer: a defect. */
  failed = 0
  /** Acknowledged writes that are not there, and increments that are missing. */
  lost = 0
  /** What is there although no answer says so: an increment counted twice, an item that was refused. */
  invented = 0
  seconds = 0

  note({ status }: Reply): boolean {
    if (status === 200) this.acknowledged += 1
    else if (status === 503) this.refused += 1
    else if (status === 409) this.conflicts += 1
    else this.failed += 1
    return status === 200
  }
}

/** So many connections to each server count and write in so many sessions, for so long; then everything is looked at. */
export async function hammer(
  servers: readonly Server[],
  settings: { readonly sessions: number; readonly connections: number; readonly seconds: number },
): Promise<Tally> {
  const tally = new Tally()
  const ledgers: Ledger[] = []
  for (let made = 0; made < settings.sessions; made += 1) {
    ledgers.push(new Ledger((await begin(servers[made % servers.length])).join('; ')))
  }
  const startedAt = performance.now()
  const until = startedAt + settings.seconds * 1000
  await Promise.all(
    servers.flatMap((server, process) =>
      Array.from({ length: settings.connections }, async (_, connection) => {
        for (let turn = 0; performance.now() < until; turn += 1) {
          const ledger = ledgers[Math.floor(Math.random() * ledgers.length)]
          if (turn % 2 === 0) await ledger?.count(server, tally)
          else await ledger?.write(server, `p${process}c${connection}`, tally)
        }
      }),
    ),
  )
  tally.seconds = (performance.now() - startedAt) / 1000
  const [first] = servers
  if (first !== undefined) for (const ledger of ledgers) await ledger.check(first, tally)
  return tally
}

/** A list does not grow longer than this many items for each connection: every request takes as long as the list is. */
const ITEMS = 5

/** So many connections to each server add to the array under one key, in one session after the other, for so long. */
export async function addToLists(
  servers: readonly Server[],
  key: string,
  settings: { readonly connections: number; readonly seconds: number },
): Promise<Tally> {
  const tally = new Tally()
  const startedAt = performance.now()
  const until = startedAt + settings.seconds * 1000
  while (performance.now() < until) await addToList(servers, key, settings.connections, until, tally)
  tally.seconds = (performance.now() - startedAt) / 1000
  return tally
}

async function addToList(
  servers: readonly Server[],
  key: string,
  connections: number,
  until: number,
  tally: Tally,
): Promise<void> {
  const cookie = (await begin(servers[0])).join('; ')
  const acknowledged = new Set<string>()
  /** Neither acknowledged nor refused: they may be there. */
  const uncertain = new Set<string>()
  const work = servers.flatMap((server, process) =>
    Array.from({ length: connections }, async (_, connection) => {
      for (let turn = 0; turn < ITEMS && performance.now() < until; turn += 1) {
        const item = `p${process}c${connection}n${turn}`
        const reply = await server.ask(`/add?key=${key}&item=${item}`, cookie)
        if (tally.note(reply)) acknowledged.add(item)
        else if (reply.status !== 409) uncertain.add(item)
      }
    }),
  )
  await Promise.all(work)
  const reply = await servers[0]?.ask('/all', cookie)
  const found: Record<string, readonly string[]> = reply?.status === 200 ? JSON.parse(reply.text) : {}
  const list = found[key] ?? []
  const there = new Set(list)
  for (const item of acknowledged) if (!there.has(item)) tally.lost += 1
  for (const item of there) if (!acknowledged.has(item) && !uncertain.has(item)) tally.invented += 1
  tally.invented += list.length - there.size
}

/** How many of so many logouts were undone by a slower request of the same visitor, through another process. */
export async function logouts(
  servers: readonly Server[],
  races: number,
): Promise<{ undone: number; cookies: number }> {
  let [undone, cookies] = [0, 0]
  const race = async (at: number): Promise<void> => {
    const [one, other] = [servers[at % servers.length], servers[(at + 1) % servers.length]]
    const cookie = (await begin(one)).join('; ')
    const slow = one?.ask(`/slow?ms=${5 + Math.random() * 15}`, cookie)
    // The slow request has read the session by now, or reads it after the logout; both must end the same way.
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 10))
    await other?.ask('/logout', cookie)
    const reply = await slow
    const granted = reply?.cookies.some((line) => line.startsWith('sid=') && line.length > 10)
    if (reply?.text === 'in' && granted === true) cookies += 1
    const after = await other?.ask('/all', cookie)
    if (after?.text.includes('"in":true') === true || after?.text.includes('"slow"') === true) undone += 1
  }
  for (let at = 0; at < races; at += 20) {
    await Promise.all(Array.from({ length: Math.min(20, races - at) }, async (_, index) => race(at + index)))
  }
  return { undone, cookies }
}

async function begin(server: Server | undefined): Promise<readonly string[]> {
  const reply = await server?.ask('/begin', '')
  if (reply?.status !== 200 || reply.cookies.length === 0) throw new Error(`/begin answered ${reply?.status}`)
  return reply.cookies
}
