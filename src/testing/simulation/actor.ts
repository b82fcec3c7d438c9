import type { Act } from './actions.ts'
import type { SessionManager } from '../../session/manager.ts'
import type { Session } from '../../session/session.ts'
import { hashId } from '../../session/id.ts'
import { Belief } from './request-view.ts'
import { current } from './gated-store.ts'
import type { Ledger } from './oracle.ts'
import { spell, visible, type Change, type Ground } from './replay-model.ts'
import { plain, type Value } from './values.ts'
import type { Verdict } from './violations.ts'

/** What a request shares with those beside it. */
export interface World {
  readonly verdict: Verdict
  readonly ledger: Ledger
  /** The IDs that clients were told, in order. */
  readonly ids: string[]
}

/** What a request is about, as far as the store is concerned. */
export type Doing = 'find' | 'commit' | 'claim' | 'destroy' | 'nothing'

/** One request: what it does to its session, what it is told, and whether that was true. */
export class Visit {
  readonly name: string
  readonly world: World
  readonly belief: Belief = new Belief()
  /** Where a regeneration prepares the session's next record. */
  successor: string | undefined
  doing: Doing = 'nothing'
  /** The store has failed it. */
  troubled = false
  over = false
  /** The key that it claims, and what was under it when it was taken out of the store. */
  claiming: string | undefined
  claimed: { readonly value: Value } | undefined
  readonly #manager: SessionManager
  #session: Session
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
    this.belief.log.push(change)
    this.world.verdict.tell(this.name, spell(change))
  }

  /** Looks at everything that it can see. */
  look(): void {
    const found = new Map([...this.#session].map(([key, value]) => [key, plain(value)]))
    this.world.verdict.tell(this.name, `sees {${[...found].map((pair) => pair.join(': ')).join(', ')}}`)
    const { history } = this.belief
    const ground = this.belief.groundOf(history)
    const keys = new Set([...found.keys(), ...history.states.flatMap((state) => [...state.keys()])])
    for (const key of keys) this.#check(key, found.get(key), ground)
  }

  check(key: string, value: unknown): void {
    this.#check(key, plain(value), this.belief.groundOf(this.belief.history))
  }

  async commit(): Promise<void> {
    const { verdict, ledger, ids } = this.world
    const { moving, key } = this.belief
    const outcome = await this.#do('commit', async () => this.#manager.commit(this.#session))
    if (outcome === undefined) return
    if (outcome === 'gone') {
      if (ledger.lives(key))
        verdict.wrong('told', `${ledger.nameOf(key ?? '')} is reported as gone, and it is not`)
      this.over = true
      return
    }
    if (this.belief.wrote === undefined) ledger.judgeIdle(this)
    if (moving && key !== undefined && ledger.lives(key)) {
      verdict.wrong('single', `${ledger.nameOf(key)} lives on after regenerate`)
    }
    this.belief.settle(!this.troubled)
    if (this.belief.key !== undefined) ids.push(this.#session.id)
    else if (key !== undefined) this.belief.reset()
  }

  regenerate(): void {
    this.#session.regenerate()
    this.belief.moving = true
    this.world.verdict.tell(this.name, 'regenerates')
  }

  async destroy(): Promise<void> {
    const { verdict, ledger } = this.world
    const { key } = this.belief
    const done = await this.#do('destroy', async () => {
      await this.#manager.destroy(this.#session)
      return true
    })
    if (done !== true) return
    if (ledger.lives(key)) verdict.wrong('ended', `${ledger.nameOf(key ?? '')} lives on after destroy`)
    this.belief.reset()
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
    const { belief, world } = this
    const { verdict } = world
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
      const mine = belief.log.some((change) => change.kind === 'set' && change.value === value)
      if (!mine) verdict.wrong('claimed', `${value} was handed out and not removed`)
      belief.log.push({ kind: 'delete', key })
    } else if (!this.troubled && world.ledger.lives(belief.key)) {
      const log = [...belief.log, { kind: 'look', until: belief.history.end } as const]
      const values = visible(key, log, belief.groundOf(belief.history))
      if (!values.includes(undefined))
        verdict.wrong('claimed', `${key} was there, and the request got nothing`)
    }
    belief.mayHaveSeenAll()
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
    this.belief.begin()
    try {
      const result = await act()
      verdict.tell(this.name, `${doing}: done${typeof result === 'string' ? `, ${result}` : ''}`)
      return result
    } catch (error) {
      verdict.tell(this.name, `${doing}: ${error instanceof Error ? error.message : 'failed'}`)
      if (!this.troubled) verdict.wrong('served', `${doing} failed though the store did not`)
      this.belief.mayHaveSeenAll()
      return undefined
    } finally {
      this.doing = 'nothing'
    }
  }

  #check(key: string, value: Value, ground: Ground): void {
    const right = visible(key, this.belief.log, ground)
    if (right.includes(value)) return
    const expected = [...new Set(right)].map((each) => each ?? 'nothing').join(' or ')
    this.world.verdict.wrong('seen', `${key} is ${value ?? 'nothing'}, not ${expected}`)
  }
}
