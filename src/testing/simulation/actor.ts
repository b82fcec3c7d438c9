import type { Action } from './actions.ts'
import type { SessionManager } from '../../session/manager.ts'
import type { Session } from '../../session/session.ts'
import { hashId } from '../../session/id.ts'
import { RequestView } from './request-view.ts'
import { current } from './gated-store.ts'
import type { Oracle } from './oracle.ts'
import { spell, visible, type Change, type Ground } from './replay-model.ts'
import { plain, type Value } from './values.ts'
import type { Violations } from './violations.ts'

/** What a request shares with those beside it. */
export interface World {
  readonly violations: Violations
  readonly oracle: Oracle
  /** The IDs that clients were told, in order. */
  readonly ids: string[]
}

/** What a request is about, as far as the store is concerned. */
export type Doing = 'find' | 'commit' | 'claim' | 'destroy' | 'nothing'

/** One request: what it does to its session, what it is told, and whether that was true. */
export class Actor {
  readonly name: string
  readonly world: World
  readonly view: RequestView = new RequestView()
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
  async run(id: string | undefined, actions: readonly Action[]): Promise<void> {
    const whose: { actor: Actor | undefined } = { actor: this }
    await current.run(whose, async () => {
      if (id !== undefined) await this.#find(id)
      for (const action of actions) if (!this.over) await action.run(this)
    })
    whose.actor = undefined
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
  change(change: Change, perform: (session: Session) => void): void {
    perform(this.#session)
    this.view.log.push(change)
    this.world.violations.tell(this.name, spell(change))
  }

  /** Looks at everything that it can see. */
  look(): void {
    const found = new Map([...this.#session].map(([key, value]) => [key, plain(value)]))
    this.world.violations.tell(this.name, `sees {${[...found].map((pair) => pair.join(': ')).join(', ')}}`)
    const { history } = this.view
    const ground = this.view.groundOf(history)
    const keys = new Set([...found.keys(), ...history.states.flatMap((state) => [...state.keys()])])
    for (const key of keys) this.#check(key, found.get(key), ground)
  }

  check(key: string, value: unknown): void {
    this.#check(key, plain(value), this.view.groundOf(this.view.history))
  }

  async commit(): Promise<void> {
    const { violations, oracle, ids } = this.world
    const { moving, key } = this.view
    const outcome = await this.#do('commit', async () => this.#manager.commit(this.#session))
    if (outcome === undefined) return
    if (outcome === 'gone') {
      if (oracle.lives(key))
        violations.wrong('told', `${oracle.nameOf(key ?? '')} is reported as gone, and it is not`)
      this.over = true
      return
    }
    if (this.view.wrote === undefined) oracle.judgeIdle(this)
    if (moving && key !== undefined && oracle.lives(key)) {
      violations.wrong('single', `${oracle.nameOf(key)} lives on after regenerate`)
    }
    this.view.settle(!this.troubled)
    if (this.view.key !== undefined) ids.push(this.#session.id)
    else if (key !== undefined) this.view.reset()
  }

  regenerate(): void {
    this.#session.regenerate()
    this.view.moving = true
    this.world.violations.tell(this.name, 'regenerates')
  }

  async destroy(): Promise<void> {
    const { violations, oracle } = this.world
    const { key } = this.view
    const done = await this.#do('destroy', async () => {
      await this.#manager.destroy(this.#session)
      return true
    })
    if (done !== true) return
    if (oracle.lives(key)) violations.wrong('ended', `${oracle.nameOf(key ?? '')} lives on after destroy`)
    this.view.reset()
  }

  /** Ends another session, by its ID alone. */
  async end(id: string): Promise<void> {
    const { violations, oracle } = this.world
    const done = await this.#do('destroy', async () => {
      await this.#manager.destroy(id)
      return true
    })
    const key = hashId(id)
    if (done === true && oracle.lives(key)) {
      violations.wrong('ended', `${oracle.nameOf(key)} lives on after destroy`)
    }
  }

  async claim(key: string): Promise<void> {
    const { view, world } = this
    const { violations } = world
    this.claiming = key
    this.claimed = undefined
    const got = await this.#do('claim', async () => ({ value: plain(await this.#session.claim(key)) }))
    this.claiming = undefined
    if (got === undefined) return
    const { value } = got
    violations.tell(this.name, `gets ${value ?? 'nothing'}`)
    const taken = this.#taken()
    if (taken !== undefined) {
      if (value !== taken.value && !this.troubled) {
        violations.wrong('claimed', `${key} was ${taken.value}, and the request got ${value ?? 'nothing'}`)
      }
    } else if (value !== undefined) {
      const mine = view.log.some((change) => change.kind === 'set' && change.value === value)
      if (!mine) violations.wrong('claimed', `${value} was handed out and not removed`)
      view.log.push({ kind: 'delete', key })
    } else if (!this.troubled && world.oracle.lives(view.key)) {
      const log = [...view.log, { kind: 'look', until: view.history.end } as const]
      const values = visible(key, log, view.groundOf(view.history))
      if (!values.includes(undefined))
        violations.wrong('claimed', `${key} was there, and the request got nothing`)
    }
    view.mayHaveSeenAll()
  }

  /** What the store has handed over meanwhile. */
  #taken(): { readonly value: Value } | undefined {
    return this.claimed
  }

  async #find(id: string): Promise<void> {
    const { violations, oracle } = this.world
    violations.tell(this.name, `comes with ${oracle.nameOf(hashId(id))}`)
    const found = await this.#do('find', async () => ({ session: await this.#manager.find(id) }))
    if (found === undefined) this.over = true
    else if (found.session !== undefined) this.#session = found.session
  }

  /** Does what may fail; `undefined` if it did. */
  async #do<T>(doing: Doing, perform: () => Promise<T>): Promise<T | undefined> {
    const { violations } = this.world
    this.doing = doing
    this.successor = undefined
    this.view.begin()
    try {
      const result = await perform()
      violations.tell(this.name, `${doing}: done${typeof result === 'string' ? `, ${result}` : ''}`)
      return result
    } catch (error) {
      violations.tell(this.name, `${doing}: ${error instanceof Error ? error.message : 'failed'}`)
      if (!this.troubled) violations.wrong('served', `${doing} failed though the store did not`)
      this.view.mayHaveSeenAll()
      return undefined
    } finally {
      this.doing = 'nothing'
    }
  }

  #check(key: string, value: Value, ground: Ground): void {
    const right = visible(key, this.view.log, ground)
    if (right.includes(value)) return
    const expected = [...new Set(right)].map((each) => each ?? 'nothing').join(' or ')
    this.world.violations.wrong('seen', `${key} is ${value ?? 'nothing'}, not ${expected}`)
  }
}
