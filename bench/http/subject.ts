// A server of the bench, as the bench holds it: its process, its visitors and their sessions.
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Held, Kind } from './kind.ts'
import { Visitor, type Jar } from './visitor.ts'

/** What a server has used so far: µs of its processor, bytes on the wire. */
export interface Counters {
  readonly cpu: number
  readonly received: number
  readonly sent: number
}

/** One visitor's place: a connection, the sessions, and what was last written to each. */
export interface Place {
  readonly visitor: Visitor
  readonly jars: Readonly<Record<Held, Jar>>
  readonly written: Record<Held, string>
}

export class Subject {
  readonly kind: Kind
  readonly places: readonly Place[]
  readonly #child: ChildProcess

  private constructor(kind: Kind, child: ChildProcess, places: readonly Place[]) {
    this.kind = kind
    this.#child = child
    this.places = places
  }

  /** Starts it on a core of its own. */
  static async start(kind: Kind, url: string, core: number, visitors: number): Promise<Subject> {
    const child = fork(new URL('server.js', import.meta.url), [kind.library, kind.engine, url], {
      execPath: 'taskset',
      execArgv: ['-c', String(core), process.execPath],
      env: { ...process.env, NODE_ENV: 'production', NODE_OPTIONS: '' },
    })
    const [port]: unknown[] = await once(child, 'message')
    const places = Array.from({ length: visitors }, () => ({
      visitor: new Visitor(Number(port)),
      jars: { small: new Map(), cart: new Map(), large: new Map(), login: new Map() },
      written: { small: 'ann', cart: 'SKU-1000', large: 'ann', login: 'ann' },
    }))
    return new Subject(kind, child, places)
  }

  async counters(): Promise<Counters> {
    this.#child.send('counters')
    const [counters]: unknown[] = await once(this.#child, 'message')
    return counters as Counters // server.js sends nothing else
  }

  async stop(): Promise<void> {
    await Promise.all(this.places.map(async ({ visitor }) => visitor.close()))
    const ended = once(this.#child, 'exit')
    this.#child.disconnect()
    await ended
  }
}
