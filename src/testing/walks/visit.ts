import type { Act } from './acts.ts'
import type { SessionManager } from '../../manager.ts'
import type { Session } from '../../session.ts'
import { hashId } from '../../id.ts'
import { current, type Call } from './gate.ts'
import { History, versionOf } from './history.ts'
import type { Ledger } from './ledger.ts'
import { spell, visible, type Change, type Ground, type Log, type Look } from './rule.ts'
import { plain, type Value } from './values.ts'
import type { Verdict } from './verdict.ts'

/** What a request shares with those beside it. */
export interface World {
  readonly verdict: Verdict
  readonly ledger: Ledger
  /** The IDs that clients were told, in order. */
  readonly ids: string[]
}

/** What a request is about, as far as the store is concerned. */
export type Doing = 'find' | 'commit' | 'claim' | 'destroy' | 'nothing'

interface Origin {
  readonly log: Log
  readonly claiming: string | undefined
}

/** One request: what it does to its session, what it is told, and whether that was true. */
export class Visit {
  readonly name: string
  readonly world: World
  /** What it did since its last commit that was acknowledged. */
  log: (Change | Look)[] = []
  /** What of it was stored, whether or not the request knows. */
  readonly applied: Set<object> = new Set()
  history: History = new History()
  /** Under which key it takes its session to be; `undefined` if it takes nothing to be stored. */
  key: string | undefined
  /** Where a regeneration prepares the session's next record. */
  successor: string | undefined
  doing: Doing = 'nothing'
  /** It has asked for a new ID. */
  moving = false
  /** The store has failed it. */
  troubled = false
  over = false
  /** The key that it claims, and what was under it when it was taken out of the store. */
  claiming: string | undefined
  claimed: { readonly value: Value } | undefined
  readonly #manager: SessionManager
  #session: Session
  #from = 0
  #to = 0
  /** The index of the state that it stored last, since it began what it is doing, and where that lies. */
  #wrote: number | undefined
  #place: string | undefined
  #looked = false
  readonly #origins = new Map<string, Origin>()
  #made = 0

  constructor(name: string, world: World, manager: SessionManager) {
    this.name = name
    this.world = world
    this.#manager = manager
    this.#session = manager.begin()
  }

  /** Comes with an ID, or with none, and does what it came for. */
  async run(id: string | undefined, acts: readonly Act[]): Promise<void> {
    const whose: { visit: Visit | undefined } = { visit: this }
    await current.run(whose, async () => {
      if (id !== undefined) await this.#find(id)
      for (const act of acts) if (!this.over) await act.run(this)
    })
    whose.visit = undefined
  }

  /** A value that nobody has used. */
  unique(): string {
    this.#made += 1
    return `${this.name}${this.#made}`
  }

  get session(): Session {
    return this.#session
  }

  /** Changes the session, and says so. */
  change(change: Change, act: (session: Session) => void): void {
    act(this.#session)
    this.log.push(change)
    this.world.verdict.tell(this.name, spell(change))
  }

  /** Looks at everything that it can see. */
  look(): void {
    const found = new Map([...this.#session].map(([key, value]) => [key, plain(value)]))
    this.world.verdict.tell(this.name, `sees {${[...found].map((pair) => pair.join(': ')).join(', ')}}`)
    const ground = this.groundOf(this.history)
    const keys = new Set([...found.keys(), ...this.history.states.flatMap((state) => [...state.keys()])])
    for (const key of keys) this.#check(key, found.get(key), ground)
  }

  check(key: string, value: unknown): void {
    this.#check(key, plain(value), this.groundOf(this.history))
  }

  /** What its log builds on, in the history of a record that it has written or wants to. */
  groundOf({ states }: History): Ground {
    return { states, from: this.#from, to: this.#to }
  }

  /** The store has shown it a state of its session. */
  saw(history: History, index: number, key: string): void {
    this.#looked = true
    if (this.doing !== 'find') return
    this.key = this.#place = key
    this.history = history
    this.#from = this.#to = Math.max(index, 0)
  }

  /** A change of it has reached the store: the session lives under `key` now, or has ended. */
  stored(history: History, key: string | undefined, log: Log): void {
    for (const change of log) this.applied.add(change)
    this.#wrote = history.end
    this.#place = key
    this.history = history
  }

  /** What it had done, and which key it claimed, when a payload was made: the same one may be sent again later. */
  originOf(payload: string | undefined): Origin {
    const version = payload === undefined ? '' : versionOf(payload)
    const origin = this.#origins.get(version) ?? { log: [...this.log], claiming: this.claiming }
    if (version !== '') this.#origins.set(version, origin)
    return origin
  }

  /** Whether a call writes what `regenerate` moves the session to. */
  prepares({ verb, key }: Call): boolean {
    return (
      this.moving && this.key !== undefined && key !== this.key && (verb === 'create' || verb === 'replace')
    )
  }

  async commit(): Promise<void> {
    const { verdict, ledger, ids } = this.world
    const [before, { moving, key }] = [this.#from, this]
    const outcome = await this.#do('commit', async () => this.#manager.commit(this.#session))
    if (outcome === undefined) return
    if (outcome === 'gone') {
      if (ledger.lives(key))
        verdict.wrong('told', `${ledger.nameOf(key ?? '')} is reported as gone, and it is not`)
      this.over = true
      return
    }
    if (this.#wrote === undefined) ledger.judgeIdle(this)
    if (moving && key !== undefined && ledger.lives(key)) {
      verdict.wrong('single', `${ledger.nameOf(key)} lives on after regenerate`)
    }
    this.#settle(before)
    this.key = this.#place
    if (this.key !== undefined) ids.push(this.#session.id)
    else if (key !== undefined) this.#reset()
  }

  regenerate(): void {
    this.#session.regenerate()
    this.moving = true
    this.world.verdict.tell(this.name, 'regenerates')
  }

  async destroy(): Promise<void> {
    const { verdict, ledger } = this.world
    const { key } = this
    const done = await this.#do('destroy', async () => {
      await this.#manager.destroy(this.#session)
      return true
    })
    if (done !== true) return
    if (ledger.lives(key)) verdict.wrong('ended', `${ledger.nameOf(key ?? '')} lives on after destroy`)
    this.#reset()
  }

  /** Ends another session, by its ID alone. */
  async end(id: string): Promise<void> {
    const { verdict, ledger } = this.world
    const done = await this.#do('destroy', async () => {
      await this.#manager.destroy(id)
      return true
    })
    const key = hashId(id)
    if (done === true && ledger.lives(key)) {
      verdict.wrong('ended', `${ledger.nameOf(key)} lives on after destroy`)
    }
  }

  async claim(key: string): Promise<void> {
    const { verdict } = this.world
    this.claiming = key
    this.claimed = undefined
    const got = await this.#do('claim', async () => ({ value: plain(await this.#session.claim(key)) }))
    this.claiming = undefined
    if (got === undefined) return
    const { value } = got
    verdict.tell(this.name, `gets ${value ?? 'nothing'}`)
    const taken = this.#taken()
    if (taken !== undefined) {
      if (value !== taken.value && !this.troubled) {
        verdict.wrong('claimed', `${key} was ${taken.value}, and the request got ${value ?? 'nothing'}`)
      }
    } else if (value !== undefined) {
      const mine = this.log.some((change) => change.kind === 'set' && change.value === value)
      if (!mine) verdict.wrong('claimed', `${value} was handed out and not removed`)
      this.log.push({ kind: 'delete', key })
    } else if (!this.troubled && this.world.ledger.lives(this.key)) {
      const log = [...this.log, { kind: 'look', until: this.history.end } as const]
      const values = visible(key, log, this.groundOf(this.history))
      if (!values.includes(undefined))
        verdict.wrong('claimed', `${key} was there, and the request got nothing`)
    }
    this.log.push({ kind: 'look', until: this.history.end })
    this.#to = Math.max(this.#to, this.#wrote ?? 0)
  }

  /** What the store has handed over meanwhile. */
  #taken(): { readonly value: Value } | undefined {
    return this.claimed
  }

  async #find(id: string): Promise<void> {
    const { verdict, ledger } = this.world
    verdict.tell(this.name, `comes with ${ledger.nameOf(hashId(id))}`)
    const found = await this.#do('find', async () => ({ session: await this.#manager.find(id) }))
    if (found === undefined) this.over = true
    else if (found.session !== undefined) this.#session = found.session
  }

  /** Does what may fail; `undefined` if it did. */
  async #do<T>(doing: Doing, act: () => Promise<T>): Promise<T | undefined> {
    const { verdict } = this.world
    this.doing = doing
    this.successor = undefined
    this.#looked = false
    this.#wrote = undefined
    try {
      const result = await act()
      verdict.tell(this.name, `${doing}: done${typeof result === 'string' ? `, ${result}` : ''}`)
      return result
    } catch (error) {
      verdict.tell(this.name, `${doing}: ${error instanceof Error ? error.message : 'failed'}`)
      if (!this.troubled) verdict.wrong('served', `${doing} failed though the store did not`)
      this.log.push({ kind: 'look', until: this.history.end })
      return undefined
    } finally {
      this.doing = 'nothing'
    }
  }

  /** All that it did is in the store: it goes on from there. */
  #settle(before: number): void {
    const certain = this.#wrote !== undefined && !this.troubled
    // What others of its process have left may have been shown to it without a read.
    const looked = this.#looked || this.troubled || this.log.length > 0
    this.#from = certain ? (this.#wrote ?? 0) : before
    if (certain) this.#to = this.#from
    else if (looked) this.#to = this.history.end
    this.log = []
    this.moving = false
  }

  #reset(): void {
    this.history = new History()
    this.key = this.#place = undefined
    this.#from = this.#to = 0
    this.log = []
    this.applied.clear()
    this.moving = false
  }

  #check(key: string, value: Value, ground: Ground): void {
    const right = visible(key, this.log, ground)
    if (right.includes(value)) return
    const expected = [...new Set(right)].map((each) => each ?? 'nothing').join(' or ')
    this.world.verdict.wrong('seen', `${key} is ${value ?? 'nothing'}, not ${expected}`)
  }
}
