import { SessionError } from '../../../src/errors.ts'
import { markerIn } from '../../../src/migrate/between-stores/marker.ts'
import { versionOf, type Entry, type Store, type Written } from '../../../src/store.ts'
import { InterceptedStore } from '../../../src/testing/simulation/intercepted-store.ts'
import type { Choices } from '../../../src/testing/simulation/simulation.ts'
import type { Answer, Call } from '../../../src/testing/simulation/store-model.ts'
import { HonestStore, type Backend } from '../../testing/honest-store.ts'
import { OVER, TwoBackends, UNTIL, type Step } from './two-backends.ts'

const MINUTE = 60_000
/** How long entries live, in ms. */
const LIFE: number = 60 * MINUTE
/** How much time passes at once, in ms. */
const TURN: number = 25 * MINUTE
/** More steps than any walk needs. */
const MAX_STEPS = 3_000

/** What a process does with the entry, by one verb or by two. */
export type Deed =
  | 'read'
  | 'read and extend'
  | 'read and replace'
  | 'replace twice'
  | 'replace what was known before'
  | 'read and destroy'
  | 'destroy'
  | 'read and touch'
  | 'read and create'
  | 'create'

export const deeds: readonly Deed[] = [
  'read',
  'read and extend',
  'read and replace',
  'replace twice',
  'replace what was known before',
  'read and destroy',
  'destroy',
  'read and touch',
  'read and create',
]

/** How a walk is set up. */
export interface WalkSettings {
  /** The step of each process. */
  readonly steps: readonly Step[]
  /** What each process does, one after another. */
  readonly scripts: readonly (readonly Deed[])[]
  /** What is there before: the entry in the old store, in the new one, or in neither. Moved: by a process of step 2, or of step 1. */
  readonly before: 'old' | 'next' | 'none' | 'moved on' | 'moved back'
  /** One call in this many fails; 0 for none. */
  readonly faults: number
  /** The process that crashes, and at which of its calls. */
  readonly crash?: { readonly process: number; readonly call: number } | undefined
  /** The steps before which time passes. */
  readonly pauses: readonly number[]
}

/** A verb that is under way, and everything that was true meanwhile. */
interface Operation {
  readonly who: string
  readonly verb: string
  /** The version that it wants to write. */
  readonly writes: string | undefined
  /** The version that it compares with. */
  readonly base: string | undefined
  /** What the entry was at some time since it began: versions, or `absent`. */
  readonly seen: Set<string>
  /** Its own change was carried out. */
  hasChanged: boolean
  isOver: boolean
}

interface Pending {
  readonly process: Process
  readonly name: string
  readonly perform: () => Promise<unknown>
  readonly operation: Operation | undefined
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: unknown) => void
  isOrphaned: boolean
}

/** The store of one process: each call waits until the walk lets it through. */
class SteppedStore extends InterceptedStore {
  readonly #enqueue: (name: string, perform: () => Promise<unknown>) => Promise<unknown>
  readonly #name: string

  constructor(
    store: Store,
    name: string,
    enqueue: (name: string, perform: () => Promise<unknown>) => Promise<unknown>,
  ) {
    super(store)
    this.#name = name
    this.#enqueue = enqueue
  }

  override async intercept<A extends Answer>({ verb }: Call, perform: () => Promise<A>): Promise<A> {
    // What `perform` resolves with is an A.
    return this.#enqueue(`${verb} ${this.#name}`, perform) as Promise<A>
  }
}

interface Process {
  readonly name: string
  readonly store: Store
  calls: number
  operation: Operation | undefined
  hasCrashed: boolean
}

const KEY = 'k'.repeat(64)
let made = 0

function payload(): string {
  made += 1
  return `kts1 ${String(made).padStart(16, '0')} body`
}

function nameOf(text: string | undefined): string {
  if (text === undefined) return 'nothing'
  const marker = markerIn(text)
  if (marker === undefined) return `v${Number(text.slice(5, 21))}`
  if (marker.kind === 'staged') return `copy ${text.slice(5, 9)} of ${nameOf(marker.payload)}`
  if (marker.kind === 'moved') return `moved to ${marker.copy.slice(5, 9)}`
  return marker.kind === 'claim' ? `claim ${marker.rank}` : marker.kind
}

/**
 * Processes that use one entry of two stores. Each call of a store waits until the walk lets it through, so that the calls
 * inside of one verb interleave with those of another. After each call the walk knows from both backends what the entry is,
 * by the rule of {@link StorePair}, and each answer must have been true at some time while its verb was under way: together
 * the two stores are one store whose verbs are atomic.
 */
export class RegisterWalk {
  readonly broken: string[] = []
  readonly backends: TwoBackends = new TwoBackends()
  readonly #choices: Choices
  readonly #settings: WalkSettings
  readonly #story: string[] = []
  readonly #waiting: (Pending | (() => void))[] = []
  readonly #operations = new Set<Operation>()
  /** The versions that were written, and are not any more. */
  readonly #past = new Set<string>()
  /** The entry that all processes knew before. */
  #known: Entry | undefined
  #truth = 'absent'
  #step = 0
  #running = 0
  #faults = 0

  constructor(choices: Choices, settings: WalkSettings) {
    this.#choices = choices
    this.#settings = settings
  }

  /** Runs the walk. Returns what went wrong, and the story that led to it. */
  async run(): Promise<string | undefined> {
    await this.#begin()
    const { steps, scripts } = this.#settings
    for (const [at, script] of scripts.entries()) {
      const process = this.#process(String.fromCharCode(97 + at), steps[at % steps.length] ?? 1)
      this.#running += 1
      this.#waiting.push(() => void this.#act(process, script))
    }
    for (; this.#step < MAX_STEPS && this.#running + this.#waiting.length > 0; this.#step += 1) {
      if (this.#waiting.length === 0) {
        await quiet()
        if (this.#waiting.length === 0 && this.#running > 0) this.#wrong('a process waits forever')
        if (this.#waiting.length === 0) break
      }
      if (this.#settings.pauses.includes(this.#step)) this.#pass()
      const [next] = this.#waiting.splice(this.#choices.pick(this.#waiting.length), 1)
      if (typeof next === 'function') next()
      else if (next !== undefined) await this.#carryOut(next)
      await quiet()
    }
    if (this.#step >= MAX_STEPS) this.#wrong('the processes never come to their end')
    await this.#end()
    return this.broken.length === 0 ? undefined : [...this.broken, ...this.#story].join('\n')
  }

  get #isOver(): boolean {
    return this.#settings.steps.includes(3)
  }

  async #begin(): Promise<void> {
    const { before } = this.#settings
    if (before === 'none') return
    const { backends } = this
    const isInNext = before === 'next' || before === 'moved back'
    const first = backends.storeAt(isInNext ? 3 : 0)
    await first.create(KEY, payload(), backends.now() + LIFE)
    this.#known = await first.read(KEY)
    if (before === 'moved on') await backends.storeAt(2).read(KEY)
    if (before === 'moved back') await backends.storeAt(1).read(KEY)
    this.#note(undefined)
  }

  #process(name: string, step: Step): Process {
    const stores: Store[] = []
    const process: Process = {
      name,
      calls: 0,
      operation: undefined,
      hasCrashed: false,
      get store(): Store {
        return stores[0] ?? fail()
      },
    }
    const open = (backend: Backend): Store => {
      const which = backend === this.backends.old ? 'old' : 'new'
      return new SteppedStore(
        new HonestStore(backend),
        which,
        async (call, perform) =>
          new Promise((resolve, reject) => {
            const { operation } = process
            this.#waiting.push({
              process,
              name: call,
              perform,
              operation,
              resolve,
              reject,
              isOrphaned: false,
            })
          }),
      )
    }
    stores.push(this.backends.storeAt(step, this.#isOver ? OVER : UNTIL, open))
    return process
  }

  async #act(process: Process, script: readonly Deed[]): Promise<void> {
    for (const deed of script) {
      try {
        await this.#do(process, deed)
      } catch (error) {
        if (!(error instanceof SessionError)) this.#wrong(`${process.name} fails: ${String(error)}`)
        this.#tell(process.name, error instanceof Error ? error.message : 'fails')
        if (this.#settings.faults === 0) this.#wrong(`${process.name} fails though no store did`)
      }
      process.operation = undefined
    }
    this.#running -= 1
  }

  async #do(process: Process, deed: Deed): Promise<void> {
    const soon = this.backends.now() + LIFE
    switch (deed) {
      case 'read':
        await this.#read(process)
        return
      case 'read and extend':
        await this.#read(process, soon)
        return
      case 'read and replace': {
        const entry = await this.#read(process, soon)
        if (entry !== undefined) await this.#replace(process, entry)
        return
      }
      case 'replace twice': {
        const entry = await this.#read(process)
        const written = entry && (await this.#replace(process, entry))
        if (typeof written === 'object') await this.#replace(process, written.entry)
        return
      }
      case 'replace what was known before':
        if (this.#known !== undefined) await this.#replace(process, this.#known)
        return
      case 'read and destroy': {
        const entry = await this.#read(process)
        if (entry !== undefined) await this.#destroy(process, entry)
        return
      }
      case 'destroy':
        await this.#destroy(process)
        return
      case 'read and touch':
        if ((await this.#read(process)) !== undefined) await this.#touch(process)
        return
      case 'read and create':
        if ((await this.#read(process)) !== undefined) return
        await this.#create(process)
        return
      case 'create':
        await this.#create(process)
        return
      default:
        fail(deed)
    }
  }

  async #read(process: Process, extendTo?: number): Promise<Entry | undefined> {
    const operation = this.#start(process, 'read')
    const entry = await process.store.read(KEY, extendTo)
    this.#finish(operation, entry === undefined ? 'absent' : 'found')
    this.#must(operation, entry === undefined ? 'absent' : versionOf(entry.payload), 'reads')
    if (entry !== undefined && markerIn(entry.payload) !== undefined)
      this.#wrong(`${process.name} is shown a marker`)
    if (entry !== undefined && entry.expiresAt < (extendTo ?? 0) - LIFE) this.#wrong('a life is shortened')
    return entry
  }

  async #create(process: Process): Promise<void> {
    const text = payload()
    const operation = this.#start(process, 'create', text)
    const written = await process.store.create(KEY, text, this.backends.now() + LIFE)
    this.#finish(operation, written)
    if (typeof written === 'object') this.#mustHaveChanged(operation)
    else this.#mustBePresent(operation)
  }

  async #replace(process: Process, base: Entry): Promise<Written | 'conflict' | 'gone'> {
    const text = payload()
    const operation = this.#start(process, 'replace', text, base)
    const written = await process.store.replace(KEY, text, this.backends.now() + LIFE, base)
    this.#finish(operation, written)
    if (typeof written === 'object') this.#mustHaveChanged(operation)
    else this.#mustBeRefused(operation, written)
    return written
  }

  async #destroy(process: Process, base?: Entry): Promise<void> {
    const operation = this.#start(process, 'destroy', undefined, base)
    const outcome = await process.store.destroy(KEY, base)
    this.#finish(operation, outcome)
    if (outcome === 'ok') this.#mustHaveChanged(operation)
    else this.#mustBeRefused(operation, outcome)
  }

  async #touch(process: Process): Promise<void> {
    const operation = this.#start(process, 'touch')
    const outcome = await process.store.touch(KEY, this.backends.now() + LIFE)
    this.#finish(operation, outcome)
    if (outcome === 'ok') this.#mustBePresent(operation)
    else this.#must(operation, 'absent', 'answers gone, and the entry is')
  }

  #start(process: Process, verb: string, writes?: string, base?: Entry): Operation {
    const operation: Operation = {
      who: process.name,
      verb,
      writes: writes && versionOf(writes),
      base: base && versionOf(base.payload),
      seen: new Set([this.#truth]),
      hasChanged: false,
      isOver: false,
    }
    process.operation = operation
    this.#operations.add(operation)
    this.#tell(process.name, `begins to ${verb}${writes === undefined ? '' : ` ${nameOf(writes)}`}`)
    return operation
  }

  #finish(operation: Operation, answer: string | object): void {
    operation.isOver = true
    this.#operations.delete(operation)
    this.#tell(operation.who, `${operation.verb}: ${typeof answer === 'string' ? answer : 'written'}`)
  }

  #must({ who, seen }: Operation, truth: string, what: string): void {
    if (!seen.has(truth)) this.#wrong(`${who} ${what} ${truth}, which was so at no time meanwhile`)
  }

  #mustBePresent({ who, verb, seen }: Operation): void {
    if ([...seen].every((each) => each === 'absent'))
      this.#wrong(`${who} is told that there is an entry to ${verb}`)
  }

  #mustHaveChanged({ who, verb, hasChanged }: Operation): void {
    if (!hasChanged) this.#wrong(`${who} is told that its ${verb} was applied, and it was not`)
  }

  #mustBeRefused(operation: Operation, answer: 'conflict' | 'gone'): void {
    const { who, verb, seen, base, hasChanged } = operation
    if (hasChanged) this.#wrong(`${who} is told ${answer}, and its ${verb} was applied`)
    if (answer === 'gone') this.#must(operation, 'absent', 'is told that the entry is')
    else if ([...seen].every((each) => each === 'absent' || each === base))
      this.#wrong(`${who} is told of a conflict where there was none`)
  }

  /** What the entry is, by both backends. After the end of the change the old one does not count. */
  #now(): string {
    const rows = this.backends.both.map((backend) =>
      this.#isOver && backend === this.backends.old ? undefined : living(backend),
    )
    const plain = rows.filter((row) => row !== undefined && markerIn(row.payload) === undefined)
    if (plain.length === 2) this.#wrong('the entry is in both stores')
    const [entry] = plain
    if (entry !== undefined) return versionOf(entry.payload)
    for (const [copy, note] of [rows, rows.toReversed()]) {
      const [staged, moved] = [copy && markerIn(copy.payload), note && markerIn(note.payload)]
      if (copy === undefined || staged?.kind !== 'staged' || moved?.kind !== 'moved') continue
      if (moved.copy === versionOf(copy.payload) && moved.expiresAt > this.backends.now())
        return versionOf(staged.payload)
    }
    return 'absent'
  }

  /** Takes note of what the entry is now, after a call of this operation. Only its own verb explains a change. */
  #note(operation: Operation | undefined): void {
    const truth = this.#now()
    if (truth === this.#truth) return
    const before = this.#truth
    if (this.#past.has(truth)) this.#wrong(`${truth} is back`)
    if (before !== 'absent') this.#past.add(before)
    this.#truth = truth
    for (const each of this.#operations) each.seen.add(truth)
    if (operation === undefined) return
    this.#tell('-', `the entry is ${truth === 'absent' ? truth : nameOf(truth)}`)
    const { who, verb, writes, base, hasChanged } = operation
    const isAllowed = !hasChanged && (base === undefined || base === before) && truth === (writes ?? 'absent')
    const isRightVerb =
      verb === 'create'
        ? before === 'absent'
        : verb === 'replace' || (verb === 'destroy' && before !== 'absent')
    if (!isAllowed || !isRightVerb) this.#wrong(`a ${verb} of ${who} makes ${truth} of ${before}`)
    operation.hasChanged = true
  }

  #pass(): void {
    this.#tell('-', 'time passes')
    for (const backend of this.backends.both) backend.time += TURN
    this.#note(undefined)
  }

  async #carryOut(pending: Pending): Promise<void> {
    const { process, name, operation } = pending
    const { crash, faults } = this.#settings
    if (!pending.isOrphaned) {
      process.calls += 1
      const mustCrash = crash !== undefined && process.name === String.fromCharCode(97 + crash.process)
      if (mustCrash && process.calls >= crash.call) return this.#crash(pending)
      if (faults > 0 && this.#faults < 3 && this.#choices.pick(faults) === 0) return this.#fail(pending)
      this.#faults = 0
    }
    const answer = await pending.perform()
    this.#tell(process.name, `  ${name}${pending.isOrphaned ? ', late' : ''}: ${describe(answer)}`)
    this.#note(operation)
    if (!pending.isOrphaned) pending.resolve(answer)
  }

  /** The process is gone: the call may have been carried out, and no other one follows. */
  async #crash(pending: Pending): Promise<void> {
    const { process, name, operation } = pending
    process.hasCrashed = true
    this.#running -= 1
    const isDone = this.#choices.pick(2) === 0
    this.#tell(process.name, `  ${name}: crashes${isDone ? ' after it' : ''}`)
    if (isDone) await pending.perform()
    this.#note(operation)
  }

  /** The call fails: it is refused, it was not carried out, or it is carried out now, or later. */
  async #fail(pending: Pending): Promise<void> {
    const { process, name, operation } = pending
    this.#faults += 1
    const how = this.#choices.pick(name.startsWith('read') ? 3 : 4)
    const fault = ['is refused', 'fails, not carried out', 'fails, carried out', 'fails, still on its way'][
      how
    ]
    this.#tell(process.name, `  ${name}: ${fault}`)
    if (how === 2) {
      await pending.perform()
      this.#note(operation)
    }
    if (how === 3) this.#waiting.push({ ...pending, isOrphaned: true })
    pending.reject(new SessionError('ERR_SESSION_STORE', 'the store did not answer', { answered: how === 0 }))
  }

  /** Whatever happened, a process that comes afterwards finds the entry, and can write to it. */
  async #end(): Promise<void> {
    for (const step of new Set(this.#settings.steps)) {
      const store = this.backends.storeAt(step, this.#isOver ? OVER : UNTIL)
      const truth = this.#now()
      const entry = await store.read(KEY)
      const found = entry === undefined ? 'absent' : versionOf(entry.payload)
      if (found !== truth) this.#wrong(`a process of step ${step} finds ${found} at the end, not ${truth}`)
      const written = entry && (await store.replace(KEY, payload(), this.backends.now() + LIFE, entry))
      if (typeof written === 'string') this.#wrong(`a process of step ${step} cannot write at the end`)
      this.#note(undefined)
    }
  }

  #tell(who: string, what: string): void {
    const rows = this.backends.both.map((backend) => nameOf(living(backend)?.payload))
    this.#story.push(`${String(this.#step).padStart(4)}  ${who}  ${what.padEnd(40)}  [${rows.join(' | ')}]`)
  }

  #wrong(what: string): void {
    this.#tell('!', what)
    this.broken.push(what)
  }
}

function living(backend: Backend): Entry | undefined {
  const row = backend.rows.get(KEY)
  return row !== undefined && row.expiresAt > backend.time ? row : undefined
}

function describe(answer: unknown): string {
  if (answer === undefined) return 'absent'
  if (typeof answer === 'string') return answer
  return 'entry' in Object(answer) ? 'written' : 'found'
}

function fail(deed?: never): never {
  throw new Error(`there is no such deed: ${String(deed)}`)
}

/** Waits until everything has happened that needs no further answer of a store. */
async function quiet(): Promise<void> {
  await new Promise(setImmediate)
}
