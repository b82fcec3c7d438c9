// One state of the model: what is stored, how far each process is, and what clients and operators were told. The invariants
// are those of the owner protocol, by their numbers.
import {
  ANONYMOUS,
  inTurn,
  Process,
  type Jar,
  type Note,
  type OperationName,
  type Reply,
  type Request,
  type Rules,
} from './owner-operations.ts'
import {
  carryOut,
  keyOf,
  OWNER,
  type Answer,
  type Call,
  type OwnerRecord,
  type SessionRecord,
  type StoredRecord,
} from './owner-store.ts'

/** What one process does, one operation after another, each of the client with the session of this number. */
export type Script = readonly (readonly [name: OperationName, at: number])[]

/** How a run is set up. */
export interface Setup {
  readonly rules: Rules
  readonly scripts: readonly Script[]
  /** What there is at the beginning. */
  readonly beginning: Beginning
  /** How many sessions the owner may have, and whether one more is refused or ends another one. */
  readonly max: number
  readonly isRefusing: boolean
  /** How many processes may crash, how many answers may be lost, and how many records may be evicted. */
  readonly crashes: number
  readonly losses: number
  readonly evictions: number
}

/** `none`: no record. `two`: two sessions. `rotated`: two, and the client of the first has not received its new ID yet. */
export type Beginning = 'none' | 'two' | 'rotated'

/** A session whose client was told that it is signed in. */
interface Told {
  readonly handle: string
  /** The IDs that its client was told, the present one last. */
  readonly ids: readonly string[]
  readonly isFromAnonymous: boolean
  /** An operation may have ended it, or may have given it an ID that no client was told. */
  readonly mayEnd: boolean
  /** Which acknowledged operation has ended it, with the number of the invariant. */
  readonly dead: string
  /** The IDs that have opened nothing, once. */
  readonly over: readonly string[]
  /** The rights of acknowledged refreshes that it must know of, and those that its requests have read since. */
  readonly mustKnow: readonly string[]
  readonly knows: readonly string[]
}

/** An operation that covers sessions: all that were told, and all sign-ins that were fenced, before it was written down. */
interface Covering {
  readonly purpose: 'end all' | 'refresh'
  readonly handles: readonly string[]
  readonly fences: readonly string[]
  readonly except: string | undefined
  readonly rights: string
  readonly isAcknowledged: boolean
}

interface Actor {
  readonly answers: readonly Reply[]
  readonly request: Request | undefined
  /** The answers to calls of the present request that were carried out. */
  readonly partial: readonly (Answer | undefined)[]
  readonly notes: number
  readonly isOver: boolean
  readonly isFaulty: boolean
  /** The name of the fence of its sign-in, which is under way. */
  readonly fence: string
  /** All have been ended since it has begun: what it signs in may have ended before its client is told. */
  readonly isOvertaken: boolean
  /** It has ended nothing and may move this session. */
  readonly moves: string
  /** What it covers, for an operation that ends all or refreshes. */
  readonly covering: Covering | undefined
  /** The rights that it has read, to catch up with. */
  readonly hasRead: readonly string[]
  /** The sessions that have been usable ever since it has begun to look. */
  readonly watching: readonly string[] | undefined
  /** A fingerprint of all that it was answered. */
  readonly history: string
}

/** A call whose answer was lost, and that will be carried out yet. */
interface Late {
  readonly call: Call
  readonly by: number
}

/** One thing that may happen next. */
export type Step =
  | {
      readonly step: 'call'
      readonly actor: number
      readonly at: number
      readonly how: 'done' | 'not done' | 'unanswered' | 'late'
    }
  | { readonly step: 'crash'; readonly actor: number }
  | { readonly step: 'arrives'; readonly at: number }
  | { readonly step: 'evicted'; readonly key: string }

/** One state. It is not changed: {@link after} makes another one. */
export class World {
  readonly setup: Setup
  store: Map<string, StoredRecord> = new Map()
  actors: Actor[] = []
  told: Told[] = []
  late: Late[] = []
  /** The rights of all refreshes that were written down. */
  refreshes: readonly string[] = []
  crashes = 0
  losses = 0
  evictions = 0
  /** What is wrong, each with the number of the invariant. */
  wrong: string[] = []

  private constructor(setup: Setup) {
    this.setup = setup
  }

  static begin(setup: Setup): World {
    const world = new World(setup)
    world.#furnish()
    world.actors = setup.scripts.map(() => ({
      answers: [],
      request: undefined,
      partial: [],
      notes: 0,
      isOver: false,
      isFaulty: false,
      fence: '',
      isOvertaken: false,
      moves: '',
      covering: undefined,
      hasRead: [],
      watching: undefined,
      history: '',
    }))
    for (const at of setup.scripts.keys()) world.#goOn(at)
    world.#judge()
    return world
  }

  /** Everything that may happen next. None: all is over. */
  steps(): Step[] {
    const { setup } = this
    const steps: Step[] = []
    for (const [actor, { request, partial, isOver }] of this.actors.entries()) {
      if (isOver || request === undefined) continue
      const count = 'calls' in request ? request.calls.length : 1
      for (let at = 0; at < count; at += 1) {
        if (partial[at] !== undefined) continue
        steps.push({ step: 'call', actor, at, how: 'done' })
        if (!('calls' in request) || this.losses >= setup.losses) continue
        steps.push({ step: 'call', actor, at, how: 'not done' })
        if (request.calls[at]?.verb === 'read') continue
        steps.push({ step: 'call', actor, at, how: 'unanswered' }, { step: 'call', actor, at, how: 'late' })
      }
      if (this.crashes < setup.crashes) steps.push({ step: 'crash', actor })
    }
    for (const at of this.late.keys()) steps.push({ step: 'arrives', at })
    if (this.evictions < setup.evictions && steps.length > 0) {
      for (const [key, { kind }] of this.store)
        if (kind === 'owner' || kind === 'session') steps.push({ step: 'evicted', key })
    }
    return steps
  }

  /** The state after a step. */
  after(step: Step): World {
    const next = new World(this.setup)
    next.store = new Map(this.store)
    next.actors = [...this.actors]
    next.told = [...this.told]
    next.late = [...this.late]
    next.refreshes = this.refreshes
    next.crashes = this.crashes
    next.losses = this.losses
    next.evictions = this.evictions
    next.#take(step)
    next.#judge()
    return next
  }

  /** Equal for states from which the same can happen. */
  fingerprint(): string {
    const { actors, told, late, refreshes, crashes, losses, evictions } = this
    const stored = [...this.store].toSorted(([one], [other]) => (one < other ? -1 : 1))
    const how = actors.map((actor) => [
      actor.history,
      actor.partial.map((answer) => answer ?? 0),
      actor.isOver,
      actor.isFaulty,
      actor.fence,
      actor.isOvertaken,
      actor.moves,
      actor.covering,
      actor.hasRead,
      actor.watching,
    ])
    return JSON.stringify([stored, how, told, late, refreshes, crashes, losses, evictions])
  }

  /** Judges a state in which all is over: runs a list, and after an eviction looks after each session. */
  conclude(): readonly string[] {
    if (this.wrong.length > 0) return this.wrong
    const { rules } = this.setup
    const { evictions, told } = this
    const quiet = { ...this.setup, rules, crashes: 0, losses: 0, evictions: 0, beginning: 'none' } as const
    const looking = World.begin({ ...quiet, scripts: [[['lists', 0]]] })
    looking.store = this.store
    looking.told = told
    looking.evictions = evictions
    const after = runAlone(looking)
    if (after.wrong.length > 0) return after.wrong
    const wrong: string[] = []
    const owner = after.owner()
    if (owner?.entries.some(({ epoch }) => epoch !== owner.epoch) === true)
      wrong.push('9: something is ending after a list')
    let last = after
    if (evictions > 0) {
      for (const [at, { ids, dead }] of told.entries()) {
        if (dead === '' && last.usable(ids.at(-1) ?? '') === undefined) continue
        const verifying = World.begin({ ...quiet, scripts: [[['is verified', at]]] })
        verifying.store = last.store
        // A thief of a session that was ended would come back as well.
        verifying.told = told.map((each) => ({ ...each, dead: '' }))
        verifying.evictions = evictions
        last = runAlone(verifying)
      }
    }
    for (const { handle, ids, dead } of told) {
      const usable = last.usable(ids.at(-1) ?? '')
      if (usable === undefined) continue
      const entry = owner?.entries.find((each) => each.handle === handle)
      const isListed = entry?.epoch === owner?.epoch && entry?.keys.includes(usable.key) === true
      if (evictions > 0 && (!isListed || dead !== ''))
        wrong.push(`10: ${handle} is usable after it was verified`)
      if (evictions === 0 && !isListed) wrong.push(`3: ${handle} is usable and not listed after a list`)
    }
    this.#concludeMoves(wrong)
    return wrong
  }

  owner(): OwnerRecord | undefined {
    const record = this.store.get(OWNER)
    return record?.kind === 'owner' ? record : undefined
  }

  /** The session that an ID opens. */
  usable(id: string): { readonly key: string; readonly record: SessionRecord } | undefined {
    let key = keyOf(id)
    for (let hops = 0; hops < 20; hops += 1) {
      const record = this.store.get(key)
      if (record?.kind === 'session') return record.isOwned ? { key, record } : undefined
      if (record?.kind !== 'redirect' || record.mode === 'commit') return undefined
      key = record.next
    }
    return undefined
  }

  /** 7, 11, 13: how many records there are, where no process has failed. */
  #concludeMoves(wrong: string[]): void {
    const fromAnonymous = this.told.filter(({ isFromAnonymous }) => isFromAnonymous)
    if (fromAnonymous.length > 1)
      wrong.push('13: two sign-ins from one anonymous session have both succeeded')
    if (this.crashes + this.losses + this.evictions > 0) return
    const records = [...this.store.values()].filter((record) => record.kind === 'session' && record.isOwned)
    const handles = records.map((record) => (record.kind === 'session' ? record.handle : ''))
    if (new Set(handles).size !== handles.length) wrong.push('7: a session has two records')
    const unknown = handles.find((handle) => !this.told.some((told) => told.handle === handle))
    if (unknown !== undefined) wrong.push('7: there is a record whose session no client was told of')
  }

  #furnish(): void {
    const { beginning } = this.setup
    const session = (handle: string, isOwned: boolean): SessionRecord => ({
      kind: 'session',
      version: `${handle} 0`,
      handle,
      isOwned,
      marked: '',
      caughtUp: '',
    })
    this.store.set(keyOf(ANONYMOUS), session('guest', false))
    if (beginning === 'none') return
    const epoch = 'epoch 1'
    const entries = ['one', 'two'].map((handle) => {
      this.store.set(keyOf(handle), session(handle, true))
      this.told.push({
        handle,
        ids: [handle],
        isFromAnonymous: false,
        mayEnd: false,
        dead: '',
        over: [],
        mustKnow: [],
        knows: [],
      })
      return { handle, keys: [keyOf(handle)], epoch }
    })
    this.store.set(OWNER, { kind: 'owner', version: '0', epoch, rights: 'rights 1', entries })
    if (beginning === 'two') return
    const next = keyOf('one again')
    this.store.set(next, session('one', true))
    const redirect = {
      kind: 'redirect',
      version: '1',
      next,
      mode: 'open',
      handle: 'one',
      isOwned: true,
    } as const
    this.store.set(keyOf('one'), redirect)
    const [one, ...others] = entries
    if (one === undefined) return
    const moved = [{ ...one, keys: [...one.keys, next] }, ...others]
    this.store.set(OWNER, { kind: 'owner', version: '1', epoch, rights: 'rights 1', entries: moved })
  }

  #take(step: Step): void {
    switch (step.step) {
      case 'call':
        return this.#call(step.actor, step.at, step.how)
      case 'crash':
        this.crashes += 1
        return this.#stop(step.actor, true)
      case 'arrives': {
        const [late] = this.late.splice(step.at, 1)
        if (late !== undefined) this.#carryOut(late.by, late.call)
        return
      }
      case 'evicted':
        this.evictions += 1
        this.store.delete(step.key)
        this.told = this.told.map((told) => ({ ...told, mayEnd: true }))
    }
  }

  #call(at: number, which: number, how: 'done' | 'not done' | 'unanswered' | 'late'): void {
    const actor = this.#actor(at)
    const { request } = actor
    if (request === undefined) return
    if (!('calls' in request)) {
      const reply = 'pick' in request ? this.#jar(request.pick) : undefined
      if ('tell' in request) this.#tell(at, request.tell)
      return this.#answer(at, reply)
    }
    const call = request.calls[which]
    if (call === undefined) return
    let answer: Answer = 'lost'
    if (how === 'done') answer = this.#carryOut(at, call)
    else {
      this.losses += 1
      if (how === 'unanswered') this.#carryOut(at, call)
      if (how === 'late') this.late.push({ call, by: at })
      this.#update(at, { isFaulty: true })
      this.#mayHaveMoved(at)
    }
    const partial = [...actor.partial]
    partial[which] = answer
    this.#update(at, { partial })
    const answers = request.calls.map((_, each) => partial[each])
    if (answers.every((each) => each !== undefined)) this.#answer(at, answers)
  }

  #carryOut(at: number, call: Call): Answer {
    const before = call.key === OWNER ? this.owner() : undefined
    const answer = carryOut(this.store, call)
    if (answer !== 'ok') return answer
    const purpose = 'purpose' in call ? call.purpose : undefined
    if (purpose === 'catch up' && 'record' in call && call.record.kind === 'session') {
      const { hasRead } = this.#actor(at)
      this.#change(call.record.handle, ({ knows }) => ({ knows: [...knows, ...hasRead] }))
    }
    const after = this.owner()
    if (call.key !== OWNER || after === undefined) return answer
    if (before !== undefined) this.#judgeDrops(before, after)
    if (purpose === 'end all' || purpose === 'refresh') this.#cover(at, purpose, after)
    else this.#judgeFence(at, before, after)
    return answer
  }

  /** An operation is written down: it covers all that was told, and all that was fenced, before. */
  #cover(at: number, purpose: Covering['purpose'], { rights }: OwnerRecord): void {
    const before = this.#actor(at).covering
    const except = before?.except
    const handles = this.told.map(({ handle }) => handle).filter((handle) => handle !== except)
    const fences = this.actors.flatMap(({ fence }) => (fence === '' ? [] : [fence]))
    this.#update(at, { covering: { purpose, handles, fences, except, rights, isAcknowledged: false } })
    if (purpose === 'refresh') {
      this.refreshes = [...this.refreshes, rights]
      return
    }
    for (const handle of handles) this.#change(handle, () => ({ mayEnd: true }))
    for (const each of this.actors.keys()) this.#update(each, { isOvertaken: true })
  }

  #answer(at: number, reply: Reply): void {
    const actor = this.#actor(at)
    const history = `${actor.history}${JSON.stringify(reply ?? 0)}`
    this.#update(at, { answers: [...actor.answers, reply], partial: [], history })
    this.#goOn(at)
  }

  /** Runs a process to its next request, from its beginning: it does the same with the same answers. */
  #goOn(at: number): void {
    const { rules, max, isRefusing, scripts } = this.setup
    const { answers, notes } = this.#actor(at)
    const me = new Process(String.fromCharCode(97 + at), rules, max, isRefusing)
    const program = inTurn(me, scripts[at] ?? [])
    let said = 0
    let next = 0
    let turn = program.next()
    while (turn.done !== true) {
      const { value } = turn
      if ('note' in value) {
        said += 1
        if (said > notes) this.#hear(at, value)
        turn = program.next()
      } else if (next < answers.length) {
        turn = program.next(answers[next])
        next += 1
      } else break
    }
    const request = turn.done === true ? undefined : (turn.value as Request) // notes are heard in the loop
    this.#update(at, { request, notes: said })
    if (turn.done === true) this.#stop(at, false)
  }

  #stop(at: number, isCrash: boolean): void {
    if (isCrash) this.#mayHaveMoved(at)
    this.#update(at, {
      isOver: true,
      isFaulty: this.#actor(at).isFaulty || isCrash,
      request: undefined,
      answers: [],
      watching: undefined,
      moves: '',
      history: isCrash ? 'crashed' : 'over',
    })
  }

  /** A process that fails may have given a session an ID that no client was told. */
  #mayHaveMoved(at: number): void {
    const { moves } = this.#actor(at)
    if (moves !== '') this.#change(moves, () => ({ mayEnd: true }))
  }

  #jar(at: number): Jar | undefined {
    if (at < 0 || this.told.length === 0) return undefined
    const told = this.told[at % this.told.length]
    return told && { handle: told.handle, id: told.ids.at(-1) ?? '' }
  }

  #hear(at: number, note: Note): void {
    switch (note.note) {
      case 'fenced':
        return this.#update(at, { fence: `${at} ${this.#actor(at).answers.length}` })
      case 'moves':
        return this.#update(at, { moves: note.handle })
      case 'may end':
        for (const { handle } of this.told) {
          const isMeant = note.handles === 'all' ? handle !== note.except : note.handles.includes(handle)
          if (isMeant) this.#change(handle, () => ({ mayEnd: true }))
        }
        return
      case 'ends all': {
        const { except } = note
        const covering: Covering = {
          purpose: 'end all',
          handles: [],
          fences: [],
          except,
          rights: '',
          isAcknowledged: false,
        }
        return this.#update(at, { covering })
      }
      case 'ended':
        if (this.evictions === 0)
          this.#change(note.handle, ({ dead }) => ({ dead: dead || `5: after ${note.by}` }))
        return
      case 'all ended':
      case 'refreshed':
        return this.#acknowledge(at)
      case 'looks':
        return this.#update(at, { watching: this.#steady().map(({ handle }) => handle) })
      case 'listed':
        return this.#judgeList(at, note.handles)
      case 'reads rights':
        return this.#update(at, { hasRead: this.refreshes })
      case 'refused':
        return this.#judgeRefusal(at, note.mine)
      case 'failed':
        if (note.why === 'trouble' && this.losses === 0)
          this.wrong.push('0: an operation fails though the store does not')
        return this.#update(at, { fence: '', isOvertaken: false, moves: '' })
    }
  }

  #acknowledge(at: number): void {
    const { covering } = this.#actor(at)
    if (covering === undefined) return
    this.#update(at, { covering: { ...covering, isAcknowledged: true } })
    for (const handle of covering.handles) this.#apply(handle, covering)
  }

  /** A session is covered by an operation that was acknowledged. After an eviction only fences are exact: see 1 and 10. */
  #apply(handle: string, { purpose, rights }: Covering): void {
    if (this.evictions > 0) return
    if (purpose === 'refresh')
      return this.#change(handle, ({ mustKnow }) => ({ mustKnow: [...mustKnow, rights] }))
    return this.#change(handle, ({ dead }) => ({ dead: dead || '1: after all were ended' }))
  }

  #tell(at: number, { handle, id, isSignIn }: { handle: string; id: string; isSignIn: boolean }): void {
    this.#update(at, { moves: '' })
    // Which of two answers reaches a client last is not decided by servers: it keeps the ID that opens its session.
    const isLate = this.usable(id) === undefined
    if (!isSignIn) return this.#change(handle, ({ ids }) => ({ ids: isLate ? [id, ...ids] : [...ids, id] }))
    const { fence, isOvertaken } = this.#actor(at)
    const owner = this.owner()
    const isListed = owner?.entries.some((each) => each.handle === handle && each.epoch === owner.epoch)
    // Where few are allowed, another sign-in may have ended it already.
    const mayEnd = isOvertaken || (this.setup.max < 10 && isListed !== true) || this.evictions > 0
    const isFromAnonymous = handle === 'guest'
    this.told.push({
      handle,
      ids: [id],
      isFromAnonymous,
      mayEnd,
      dead: '',
      over: [],
      mustKnow: [],
      knows: [],
    })
    for (const [by, { covering }] of this.actors.entries()) {
      if (covering?.fences.includes(fence) !== true) continue
      if (covering.isAcknowledged) this.#apply(handle, covering)
      else this.#update(by, { covering: { ...covering, handles: [...covering.handles, handle] } })
    }
    this.#update(at, { fence: '', isOvertaken: false })
  }

  /** The sessions that are usable, and that nothing is about to end. */
  #steady(): readonly Told[] {
    return this.told.filter(({ ids, mayEnd }) => !mayEnd && this.usable(ids.at(-1) ?? '') !== undefined)
  }

  #judgeList(at: number, handles: readonly string[]): void {
    const missing = this.#actor(at).watching?.filter((handle) => !handles.includes(handle)) ?? []
    for (const handle of missing) this.wrong.push(`6: ${handle} is usable throughout and not in the list`)
    for (const text of [...handles, ...this.store.keys()])
      if (this.usable(text) !== undefined && !this.told.some(({ ids }) => ids.includes(text)))
        this.wrong.push('6: a text that is stored or listed opens a session')
    this.#update(at, { watching: undefined })
  }

  #judgeRefusal(at: number, mine: readonly string[]): void {
    if (this.#actor(at).isFaulty) return
    if (mine.some((key) => this.store.get(key)?.kind === 'session'))
      this.wrong.push('11: a refused sign-in leaves a session behind')
    const guest = this.store.get(keyOf(ANONYMOUS))
    if (guest?.kind === 'redirect' && mine.includes(guest.next))
      this.wrong.push('11: a refused sign-in has changed what its client holds')
  }

  /** 1: whatever else was lost, a sign-in that was fenced before all were ended is not listed afterwards. */
  #judgeFence(at: number, before: OwnerRecord | undefined, after: OwnerRecord): void {
    const { fence } = this.#actor(at)
    const isCovered = this.actors.some(
      ({ covering }) => covering?.purpose === 'end all' && covering.fences.includes(fence),
    )
    if (!isCovered) return
    for (const { handle, epoch } of after.entries) {
      const isNew = before?.entries.some((entry) => entry.handle === handle) !== true
      if (isNew && epoch === after.epoch) this.wrong.push(`1: ${handle} is listed, and its fence is older`)
    }
  }

  #judgeDrops(before: OwnerRecord, after: OwnerRecord): void {
    const listed = before.entries.filter(({ epoch }) => epoch === before.epoch)
    for (const { handle } of listed) {
      const entry = after.entries.find((each) => each.handle === handle)
      // Room is made where there is none.
      if (entry !== undefined && entry.epoch !== after.epoch && listed.length >= this.setup.max)
        this.#change(handle, () => ({ mayEnd: true }))
    }
    for (const { handle, epoch } of before.entries) {
      if (epoch !== before.epoch || after.entries.some((entry) => entry.handle === handle)) continue
      if (this.#steady().some((told) => told.handle === handle))
        this.wrong.push(`8: the entry of ${handle} is dropped, which is usable`)
    }
  }

  /** What holds in every state. */
  #judge(): void {
    const owner = this.owner()
    let usable = 0
    for (const { handle, ids, mayEnd, dead, over, mustKnow, knows } of this.told) {
      const now = this.usable(ids.at(-1) ?? '')
      if (now !== undefined) usable += 1
      if (dead !== '' && ids.some((id) => this.usable(id) !== undefined))
        this.wrong.push(`${dead}, ${handle} is usable`)
      const isBack = over.some((id) => this.usable(id) !== undefined)
      if (isBack) this.wrong.push(`5: an ID of ${handle} had ended, and opens it again`)
      const isMoving = this.actors.some((actor) => actor.moves === handle)
      if (now === undefined && !mayEnd && !isMoving) this.wrong.push(`2: ${handle} has ended without a cause`)
      const ended = ids.filter((id) => !over.includes(id) && this.usable(id) === undefined)
      if (ended.length > 0) this.#change(handle, () => ({ over: [...over, ...ended] }))
      if (now === undefined) continue
      const entry = owner?.entries.find((each) => each.handle === handle)
      if (this.evictions === 0 && entry?.keys.includes(now.key) !== true)
        this.wrong.push(`3: ${handle} is usable, and its key is not listed`)
      const { marked, caughtUp } = now.record
      if (mustKnow.some((rights) => !knows.includes(rights)) && marked === caughtUp)
        this.wrong.push(`14: ${handle} does not know that the rights have changed`)
    }
    if (usable > this.setup.max && this.evictions === 0) this.wrong.push(`4: ${usable} sessions are usable`)
    const handles = owner?.entries.map(({ handle }) => handle) ?? []
    const keys = owner?.entries.flatMap((entry) => entry.keys) ?? []
    if (new Set(handles).size !== handles.length || new Set(keys).size !== keys.length)
      this.wrong.push('8: an entry stands twice')
    for (const [at, { watching }] of this.actors.entries()) {
      if (watching === undefined) continue
      const steady = new Set(this.#steady().map(({ handle }) => handle))
      this.#update(at, { watching: watching.filter((handle) => steady.has(handle)) })
    }
  }

  #actor(at: number): Actor {
    const actor = this.actors[at]
    if (actor === undefined) throw new Error(`no process ${at}`)
    return actor
  }

  #update(at: number, change: Partial<Actor>): void {
    this.actors[at] = { ...this.#actor(at), ...change }
  }

  #change(handle: string, change: (told: Told) => Partial<Told>): void {
    this.told = this.told.map((told) => (told.handle === handle ? { ...told, ...change(told) } : told))
  }
}

/** Runs the only process of a world to its end. */
function runAlone(world: World): World {
  let last = world
  for (;;) {
    const [step] = last.steps()
    if (step === undefined || last.wrong.length > 0) return last
    last = last.after(step)
  }
}
