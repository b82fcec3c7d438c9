import { SessionError } from '../../errors.ts'
import { hashId } from '../../session/id.ts'
import type { SessionManager } from '../../session/manager.ts'
import { stateOf, type Session } from '../../session/session.ts'
import { current } from './gated-store.ts'
import { oneOf, type Oracle } from './oracle.ts'
import { spell, visible, type Act, type Count, type Rules } from './replay-model.ts'
import { RequestView, type Doing } from './request-view.ts'
import type { SessionHistory } from './session-history.ts'
import { plain, type Value } from './values.ts'
import type { Violations } from './violations.ts'

/** What the requests of one simulation share. */
export interface World {
  readonly violations: Violations
  readonly oracle: Oracle
  readonly rules: Rules
  /** Whether IDs are rotated by age. */
  readonly isRotating: boolean
  /** The IDs that clients were told, in order, and by which request. */
  readonly told: { readonly id: string; readonly by: string }[]
  /** Resolves when the simulation lets the request go on; meanwhile time may pass. */
  readonly rest: () => Promise<void>
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
  /** The ID that the program has read of a session that was not stored yet. */
  #readId: string | undefined
  #reads = 0

  constructor(name: string, world: World, manager: SessionManager) {
    this.name = name
    this.world = world
    this.#view = new RequestView(name, world.rules)
    this.#manager = manager
    this.#session = manager.begin()
  }

  /** Opens the session with this ID, or begins one, and then acts. */
  async run(id: string | undefined, actions: readonly Action[]): Promise<void> {
    const context: { view: RequestView | undefined } = { view: this.#view }
    await current.run(context, async () => {
      this.#view.sureAt = this.world.oracle.clock()
      this.#session = this.#manager.begin()
      this.#answers()
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

  /** Changes the session by `perform`, and notes that this is the act `act`. */
  change(act: Act, perform: (session: Session) => void): void {
    perform(this.#session)
    this.#note(act)
  }

  /** Reads a value, by `get` and `peek` in turns. */
  get(key: string): Value {
    this.#reads += 1
    const value = plain(this.#reads % 2 === 0 ? this.#session.peek(key) : this.#session.get(key))
    this.#check(key, value)
    this.#note({ kind: 'get', key, value })
    return value
  }

  has(key: string): boolean {
    const isPresent = this.#session.has(key)
    const right = this.#visible(key)
    if (!right.some((value) => (value !== undefined) === isPresent)) this.#seesWrong(key, isPresent, right)
    this.#note({ kind: 'has', key, isPresent })
    return isPresent
  }

  count(count: Count): void {
    const { key, by, orElse } = count
    let value: unknown
    try {
      value = this.#session.update(key, (n?: number) => {
        if (n !== undefined || orElse === 'begin') return (n ?? 0) + by
        if (orElse === 'throw') throw new RangeError('there is nothing to count')
        return undefined
      })
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      this.#check(key, undefined)
      return
    }
    this.#note(count)
    this.#check(key, plain(value))
  }

  /** Takes a value, and checks it. */
  take(key: string): void {
    const value = plain(this.#session.take(key))
    this.#check(key, value)
    this.#note({ kind: 'take', key })
  }

  /** Checks everything that the session shows. */
  look(): void {
    const keys = [...this.#session.keys()]
    const known = new Set([...keys, ...this.#view.history.states.flatMap((state) => [...state.keys()])])
    for (const key of known) {
      const right = this.#visible(key)
      const isPresent = keys.includes(key)
      if (!right.some((value) => (value !== undefined) === isPresent)) this.#seesWrong(key, isPresent, right)
    }
    this.#note({ kind: 'keys' })
    for (const key of keys) this.get(key)
  }

  /** Lists the keys, and looks at no value. */
  list(): void {
    void this.#session.size
    this.#note({ kind: 'keys' })
  }

  /** Lets other requests go first, and time pass. */
  async rest(): Promise<void> {
    await this.world.rest()
  }

  /** Reads the session's ID, so that it cannot be exchanged for another one. */
  readId(): void {
    this.#readId = this.#session.id
  }

  /** The client closes the connection. */
  disconnect(): void {
    this.#view.isDisconnected = true
    this.world.violations.tell(this.name, 'is left by its client')
  }

  async commit(): Promise<void> {
    const { violations, oracle, told } = this.world
    const view = this.#view
    const { moving, key } = view
    const startedAt = oracle.clock()
    const outcome = await this.#do('commit', async () => this.#manager.commit(this.#session))
    if (outcome === undefined) return
    const { history } = view
    if (outcome === 'gone') {
      this.#checkGone(key)
      this.#isOver = true
      return
    }
    if (view.wrote === undefined) oracle.judgeIdle(view)
    if (moving && key !== undefined) {
      if (oracle.opens(key)) violations.wrong('single', `${oracle.nameOf(key)} lives on after regenerate`)
      oracle.closeOldIdsOf(history)
    }
    if (view.hasMoved && history.endToldAt < Infinity && oracle.opens(history.key))
      violations.wrong('ended', 'a client is told a new ID of a session whose end was acknowledged')
    view.settle()
    view.sureAt = startedAt
    if (view.key === undefined) {
      if (key !== undefined) view.reset()
      this.#readId = undefined
      return
    }
    const { id } = this.#session
    const isExchanged =
      key === undefined && !view.hasMoved && !moving && this.#readId !== undefined && this.#readId !== id
    if (isExchanged) violations.wrong('told', 'the session has another ID than the one that was read')
    if (told.at(-1)?.id !== id) told.push({ id, by: this.name })
    // A request whose session was rotated by another one does not tell its client anything.
    if (hashId(id) === view.key) oracle.tell(view.key)
  }

  regenerate(): void {
    this.#session.regenerate()
    this.#view.moving = true
    this.world.violations.tell(this.name, 'regenerates')
  }

  async destroy(): Promise<void> {
    const { history } = this.#view
    history.isEndAsked = true
    const done = await this.#do('destroy', async () => {
      await this.#manager.destroy(this.#session)
      return true
    })
    if (done !== true) return
    this.#checkEnded(history)
    this.#view.reset()
    this.#readId = undefined
  }

  /** Ends the session whose ID this is, by that ID alone. */
  async end(id: string): Promise<void> {
    const history = this.world.oracle.leadsTo(hashId(id))
    if (history !== undefined) history.isEndAsked = true
    const perform = async (): Promise<true> => {
      await this.#manager.destroy(id)
      return true
    }
    const done = await this.#do('destroy', perform, { isById: true })
    if (done === true && history !== undefined) this.#checkEnded(history)
  }

  async claim(key: string): Promise<void> {
    const { violations, oracle } = this.world
    const view = this.#view
    const perform = async (): Promise<{ value: Value }> => ({ value: plain(await this.#session.claim(key)) })
    const got = await this.#do('claim', perform, { claiming: key })
    if (got === undefined) return
    const { value } = got
    const { claimed } = view
    violations.tell(this.name, `gets ${value ?? 'nothing'}`)
    if (claimed !== undefined) {
      if (value !== undefined) view.hasClaimed(key)
      if (value !== claimed.value && !view.troubled) {
        violations.wrong('claimed', `${key} was ${claimed.value}, and the request got ${value ?? 'nothing'}`)
      }
    } else if (value !== undefined) {
      const isOwn = view.log.some((act) => act.kind === 'set' && act.value === value)
      if (!isOwn) violations.wrong('claimed', `${value} was handed out and not removed`)
      this.#note({ kind: 'delete', key })
    } else {
      view.mayHaveSeenAll()
      const isThere = !view.troubled && !view.isOutrun && oracle.opens(view.key)
      if (isThere && !this.#visible(key).includes(undefined))
        violations.wrong('claimed', `${key} was there, and the request got nothing`)
      this.#note({ kind: 'miss', key })
    }
    view.mayHaveSeenAll()
  }

  async #find(id: string): Promise<void> {
    const { violations, oracle } = this.world
    const key = hashId(id)
    const view = this.#view
    violations.tell(this.name, `comes with ${oracle.nameOf(key)}`)
    const isClosed = oracle.isClosed(key)
    const found = await this.#do('find', async () => ({ session: await this.#manager.find(id) }))
    if (found === undefined) {
      this.#isOver = true
      return
    }
    const { session } = found
    if (session === undefined) {
      if (view.key !== undefined)
        violations.wrong('seen', `${oracle.nameOf(view.key)} is there and not opened`)
      return
    }
    if (isClosed) violations.wrong('fenced', `${oracle.nameOf(key)}, an ID from before, opens the session`)
    if (view.isShutOut) violations.wrong('told', `${oracle.nameOf(key)} opens a session after its grace`)
    this.#session = session
    this.#answers()
  }

  /** The session tells its client what a response would: a new ID can always be set. */
  #answers(): void {
    const view = this.#view
    stateOf(this.#session).respondBy({
      update: () => {},
      canRotate: () => !view.isDisconnected,
      repeats: () => false,
      isDisconnected: () => view.isDisconnected,
    })
  }

  /** Does what may fail, and resolves with `undefined` if it did. */
  async #do<T>(
    doing: Doing,
    perform: () => Promise<T>,
    { claiming, isById = false }: { readonly claiming?: string; readonly isById?: boolean } = {},
  ): Promise<T | undefined> {
    const { violations, oracle, isRotating } = this.world
    const view = this.#view
    view.begin(doing, oracle, claiming)
    try {
      const result = await perform()
      violations.tell(this.name, `${doing}: done${typeof result === 'string' ? `, ${result}` : ''}`)
      return result
    } catch (error) {
      violations.tell(this.name, `${doing}: ${error instanceof Error ? error.message : 'failed'}`)
      if (error instanceof SessionError && error.code === 'ERR_SESSION_CONFLICT') this.#isRefused(error)
      else if (!view.troubled) violations.wrong('served', `${doing} failed though the store did not`)
      view.mayHaveSeenAll()
      return undefined
    } finally {
      oracle.judgeCalls(view, isById, isRotating)
      view.end()
    }
  }

  /** A request is refused exactly if the rules say so, and then knows no more than before. */
  #isRefused({ status }: SessionError): void {
    const { violations, oracle } = this.world
    const view = this.#view
    const why = oracle.whyRefused(view)
    if (why !== undefined) violations.tell(this.name, `is refused, since ${why}`)
    else violations.wrong('served', `a ${view.doing} was refused, and fits`)
    if (status !== 409) violations.wrong('told', `a conflict has the status ${status}`)
    const { id, nextId } = stateOf(this.#session)
    if (nextId === undefined && id !== undefined && view.isOutrun && hashId(id) === view.history.key)
      violations.wrong('fenced', 'a request that was refused has learnt the new ID')
  }

  /** Checks that a session which is reported as ended was ended by a request. */
  #checkGone(key: string | undefined): void {
    const { violations, oracle } = this.world
    const { history, moving } = this.#view
    const name = oracle.nameOf(key ?? '')
    if (moving) violations.wrong('told', `${name} is reported as gone to a request that regenerates it`)
    if (history.hasEnded) return
    // To a request that has changed nothing, nothing is denied.
    if (!oracle.opens(key) && oracle.comesToNothing(this.#view)) return
    if (history.isEndAsked) history.isGoneTold = true
    else if (oracle.opens(history.key)) violations.wrong('told', `${name} is reported as gone, and it is not`)
    else if (oracle.hasOutlived(this.#view))
      violations.wrong('told', `${name} has expired, and is reported as ended`)
  }

  #note(act: Act): void {
    this.#view.note(act)
    this.world.violations.tell(this.name, spell(act))
  }

  #visible(key: string): readonly Value[] {
    const view = this.#view
    return visible(key, view.log, view.groundOf(view.history))
  }

  #check(key: string, value: Value): void {
    const right = this.#visible(key)
    if (!right.includes(value)) this.#seesWrong(key, value, right)
  }

  #seesWrong(key: string, value: Value | boolean, right: readonly Value[]): void {
    const invariant = this.#view.isOutrun ? 'fenced' : 'seen'
    this.world.violations.wrong(invariant, `${key} is ${value ?? 'nothing'}, not ${oneOf(right)}`)
  }

  /** An end is acknowledged: no ID that a client knows opens the session. */
  #checkEnded(history: SessionHistory): void {
    const { violations, oracle } = this.world
    const { key } = history
    history.endToldAt = Math.min(history.endToldAt, oracle.calls)
    if (key !== undefined && oracle.opens(key) && oracle.isTold(key))
      violations.wrong('ended', `${oracle.nameOf(key)} lives on after destroy`)
  }
}
