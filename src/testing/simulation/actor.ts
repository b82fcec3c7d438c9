import { hashId } from '../../session/id.ts'
import type { SessionManager } from '../../session/manager.ts'
import type { Session } from '../../session/session.ts'
import { current } from './gated-store.ts'
import { oneOf, type Oracle } from './oracle.ts'
import { spell, visible, type Change, type Ground } from './replay-model.ts'
import { RequestView, type Doing } from './request-view.ts'
import { plain, type Value } from './values.ts'
import type { Violations } from './violations.ts'

/** What the requests of one simulation share. */
export interface World {
  readonly violations: Violations
  readonly oracle: Oracle
  /** The IDs that clients were told, in order. */
  readonly ids: string[]
}

/** One thing that a request does. */
export type Action = (actor: Actor) => void | Promise<void>

/** One request: it acts on its session, and checks everything that it is told. */
export class Actor {
  readonly name: string
  readonly world: World
  readonly #view: RequestView
  readonly #manager: SessionManager
  #session: Session
  /** Its session has ended, or could not be opened: there is nothing more to do. */
  #isOver = false
  #made = 0

  constructor(name: string, world: World, manager: SessionManager) {
    this.name = name
    this.world = world
    this.#view = new RequestView(name)
    this.#manager = manager
    this.#session = manager.begin()
  }

  /** Opens the session with this ID, or begins one, and then acts. */
  async run(id: string | undefined, actions: readonly Action[]): Promise<void> {
    const context: { view: RequestView | undefined } = { view: this.#view }
    await current.run(context, async () => {
      if (id !== undefined) await this.#find(id)
      for (const action of actions) if (!this.#isOver) await action(this)
    })
    context.view = undefined
  }

  /** A value that is used nowhere else. */
  unique(): string {
    this.#made += 1
    return `${this.name}${this.#made}`
  }

  get session(): Session {
    return this.#session
  }

  /** Changes the session by `perform`, and notes that this is the change `change`. */
  change(change: Change, perform: (session: Session) => void): void {
    perform(this.#session)
    this.#view.log.push(change)
    this.world.violations.tell(this.name, spell(change))
  }

  /** Checks everything that the session shows. */
  look(): void {
    const found = new Map([...this.#session].map(([key, value]) => [key, plain(value)]))
    this.world.violations.tell(this.name, `sees {${[...found].map((pair) => pair.join(': ')).join(', ')}}`)
    const { history } = this.#view
    const ground = this.#view.groundOf(history)
    const keys = new Set([...found.keys(), ...history.states.flatMap((state) => [...state.keys()])])
    for (const key of keys) this.#check(key, found.get(key), ground)
  }

  /** Checks that the session may show this value. */
  check(key: string, value: unknown): void {
    this.#check(key, plain(value), this.#view.groundOf(this.#view.history))
  }

  async commit(): Promise<void> {
    const { violations, oracle, ids } = this.world
    const view = this.#view
    const { moving, key } = view
    const outcome = await this.#do('commit', async () => this.#manager.commit(this.#session))
    if (outcome === undefined) return
    if (outcome === 'gone') {
      if (oracle.lives(key))
        violations.wrong('told', `${oracle.nameOf(key ?? '')} is reported as gone, and it is not`)
      this.#isOver = true
      return
    }
    if (view.wrote === undefined) oracle.judgeIdle(view)
    if (moving && key !== undefined && oracle.lives(key)) {
      violations.wrong('single', `${oracle.nameOf(key)} lives on after regenerate`)
    }
    view.settle()
    if (view.key !== undefined) ids.push(this.#session.id)
    else if (key !== undefined) view.reset()
  }

  regenerate(): void {
    this.#session.regenerate()
    this.#view.moving = true
    this.world.violations.tell(this.name, 'regenerates')
  }

  async destroy(): Promise<void> {
    const { key } = this.#view
    const done = await this.#do('destroy', async () => {
      await this.#manager.destroy(this.#session)
      return true
    })
    if (done !== true) return
    this.#checkEnded(key)
    this.#view.reset()
  }

  /** Ends another session by its ID alone. */
  async end(id: string): Promise<void> {
    const done = await this.#do('destroy', async () => {
      await this.#manager.destroy(id)
      return true
    })
    if (done === true) this.#checkEnded(hashId(id))
  }

  async claim(key: string): Promise<void> {
    const { violations, oracle } = this.world
    const view = this.#view
    const perform = async (): Promise<{ value: Value }> => ({ value: plain(await this.#session.claim(key)) })
    const got = await this.#do('claim', perform, key)
    if (got === undefined) return
    const { value } = got
    const { claimed } = view
    violations.tell(this.name, `gets ${value ?? 'nothing'}`)
    if (claimed !== undefined) {
      if (value !== claimed.value && !view.troubled) {
        violations.wrong('claimed', `${key} was ${claimed.value}, and the request got ${value ?? 'nothing'}`)
      }
    } else if (value !== undefined) {
      const mine = view.log.some((change) => change.kind === 'set' && change.value === value)
      if (!mine) violations.wrong('claimed', `${value} was handed out and not removed`)
      view.log.push({ kind: 'delete', key })
    } else if (!view.troubled && oracle.lives(view.key)) {
      const log = [...view.log, { kind: 'look', until: view.history.end } as const]
      const values = visible(key, log, view.groundOf(view.history))
      if (!values.includes(undefined))
        violations.wrong('claimed', `${key} was there, and the request got nothing`)
    }
    view.mayHaveSeenAll()
  }

  async #find(id: string): Promise<void> {
    const { violations, oracle } = this.world
    violations.tell(this.name, `comes with ${oracle.nameOf(hashId(id))}`)
    const found = await this.#do('find', async () => ({ session: await this.#manager.find(id) }))
    if (found === undefined) this.#isOver = true
    else if (found.session !== undefined) this.#session = found.session
  }

  /** Does what may fail, and resolves with `undefined` if it did. */
  async #do<T>(doing: Doing, perform: () => Promise<T>, claiming?: string): Promise<T | undefined> {
    const { violations } = this.world
    this.#view.begin(doing, claiming)
    try {
      const result = await perform()
      violations.tell(this.name, `${doing}: done${typeof result === 'string' ? `, ${result}` : ''}`)
      return result
    } catch (error) {
      violations.tell(this.name, `${doing}: ${error instanceof Error ? error.message : 'failed'}`)
      if (!this.#view.troubled) violations.wrong('served', `${doing} failed though the store did not`)
      this.#view.mayHaveSeenAll()
      return undefined
    } finally {
      this.#view.end()
    }
  }

  #check(key: string, value: Value, ground: Ground): void {
    const right = visible(key, this.#view.log, ground)
    if (right.includes(value)) return
    this.world.violations.wrong('seen', `${key} is ${value ?? 'nothing'}, not ${oneOf(right)}`)
  }

  #checkEnded(key: string | undefined): void {
    const { violations, oracle } = this.world
    if (key !== undefined && oracle.lives(key))
      violations.wrong('ended', `${oracle.nameOf(key)} lives on after destroy`)
  }
}
