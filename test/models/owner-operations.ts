// The operations of the owner protocol, step by step.
import {
  keyOf,
  OWNER,
  tombstoneOf,
  type Answer,
  type Call,
  type OwnerEntry,
  type OwnerRecord,
  type Purpose,
  type RedirectRecord,
  type SessionRecord,
  type StoredRecord,
} from './owner-store.ts'

/** The rules of the protocol. Each can be taken away. */
export interface Rules {
  /** Each attempt to end all takes another epoch. */
  readonly newEpochWithEachAttempt: boolean
  /** No epoch and no rights are ever named a second time, in a record that begins anew either. */
  readonly randomNames: boolean
  /** A key has one create; in doubt, another key is taken. */
  readonly oneCreateForEachKey: boolean
  /** A sign-in looks for itself in the record before it adds itself. */
  readonly looksForItself: boolean
  /** A key is added to those of its entry. */
  readonly unionOfKeys: boolean
  /** Only an entry whose keys were all read as absent, or as redirects, is dropped. */
  readonly dropsOnlyWhatIsGone: boolean
  /** What ends is marked, then destroyed, then dropped. */
  readonly markDestroyDrop: boolean
  /** A session is listed under its new key before a redirect leads there. */
  readonly listBeforeRedirect: boolean
  /** A logout that finds nothing ends what is listed under the handle. */
  readonly logoutByHandle: boolean
  /** What became of a write without an answer is seen in the record. */
  readonly settledByContent: boolean
  /** A sign-in is compared with its fence. */
  readonly comparesFence: boolean
  /** The fence holds the rights as well as the epoch. */
  readonly fencesRights: boolean
  /** A session that is not listed, or is ending, does not move. */
  readonly onlyListedMoves: boolean
  /** Sessions are counted and added in one compare-and-swap. */
  readonly countsAndAddsAtOnce: boolean
  /** What is found to be ending is finished. */
  readonly finishesWhatIsEnding: boolean
  /** An end that meets a writer puts down a tombstone. */
  readonly tombstones: boolean
  /** A move reads the tombstones of the keys that it has passed. */
  readonly movesReadTombstones: boolean
  /** A redirect replaces only the record that the move has read. */
  readonly comparesBeforeRedirect: boolean
  /** A new record that was listed is not created a second time. */
  readonly listedIsNotCreatedAgain: boolean
  /** A list looks again for what has another key by now. */
  readonly listLooksAgain: boolean
  /** A refresh that finds nothing of a session looks again, for the key that it has by now. */
  readonly refreshLooksAgain: boolean
  /** No two marks of a refresh are the same, so that none can take back that a session was marked by another one. */
  readonly marksDiffer: boolean
  /** A client is told after its session is listed. */
  readonly listBeforeTelling: boolean
  /** A session is verified against its owner's record. */
  readonly verifies: boolean
  /** It is verified under the key that it was found under, unless it has moved since. */
  readonly verifiesTheKey: boolean
  /** A session is created before it is listed. */
  readonly createBeforeListing: boolean
}

export type Rule = keyof Rules

/** The protocol as it is. */
export const rules: Rules = {
  newEpochWithEachAttempt: true,
  randomNames: true,
  oneCreateForEachKey: true,
  looksForItself: true,
  unionOfKeys: true,
  dropsOnlyWhatIsGone: true,
  markDestroyDrop: true,
  listBeforeRedirect: true,
  logoutByHandle: true,
  settledByContent: true,
  comparesFence: true,
  fencesRights: true,
  onlyListedMoves: true,
  countsAndAddsAtOnce: true,
  finishesWhatIsEnding: true,
  tombstones: true,
  movesReadTombstones: true,
  comparesBeforeRedirect: true,
  listedIsNotCreatedAgain: true,
  listLooksAgain: true,
  refreshLooksAgain: true,
  marksDiffer: true,
  listBeforeTelling: true,
  verifies: true,
  verifiesTheKey: true,
  createBeforeListing: true,
}

/** What an operation says of itself, to those who judge. */
export type Note =
  /** It may end sessions from now on. */
  | { readonly note: 'may end'; readonly handles: readonly string[] | 'all'; readonly except?: string }
  /** It may give a session another ID, and not live to tell. */
  | { readonly note: 'moves'; readonly handle: string }
  | { readonly note: 'fenced' }
  | { readonly note: 'refused'; readonly mine: readonly string[] }
  | { readonly note: 'ended'; readonly handle: string; readonly by: string }
  | { readonly note: 'ends all'; readonly except: string | undefined }
  | { readonly note: 'all ended' }
  | { readonly note: 'looks' }
  | { readonly note: 'listed'; readonly handles: readonly string[] }
  | { readonly note: 'refreshed' }
  | { readonly note: 'reads rights' }
  | { readonly note: 'failed'; readonly why: 'trouble' | 'refusal' }

/** What an operation asks for: calls of the store, all at once, or a step that is none. */
export type Request =
  | { readonly calls: readonly Call[] }
  /** Which session the client has, and by which ID. */
  | { readonly pick: number }
  /** A client is told that its session is signed in, or that it has another ID. */
  | { readonly tell: { readonly handle: string; readonly id: string; readonly isSignIn: boolean } }

/** What a client knows of its session. */
export interface Jar {
  readonly handle: string
  readonly id: string
}

/** What an operation is given for its request. */
export type Reply = readonly Answer[] | Jar | undefined

export type Program<T> = Generator<Request | Note, T, Reply>

/** The store has not answered. */
class Trouble extends Error {}
/** The protocol refuses. */
class Refusal extends Error {}

const trouble = new Trouble('trouble')
const refusal = new Refusal('refusal')

/** More than two or three processes can use up. */
const TRIES = 8
/** With more keys than this in an entry, those that are no longer the session's are dropped. */
const MANY_KEYS = 1

/** One process: what it makes is named after it, so that equal states of the model are equal. */
export class Process {
  readonly name: string
  readonly rules: Rules
  /** How many sessions the owner may have, and what happens to one more. */
  readonly max: number
  readonly isRefusing: boolean
  #made = 0

  constructor(name: string, rules: Rules, max: number, isRefusing: boolean) {
    this.name = name
    this.rules = rules
    this.max = max
    this.isRefusing = isRefusing
  }

  fresh(): string {
    this.#made += 1
    return `${this.name}${this.#made}`
  }
}

/** Operations by name; each is of the client that holds session `at`. */
export type Operation = (me: Process, at: number) => Program<void>

function* ask(call: Call): Program<Answer> {
  const [answer] = (yield { calls: [call] }) as readonly Answer[]
  return answer ?? 'lost'
}

function* askAll(calls: readonly Call[]): Program<readonly Answer[]> {
  if (calls.length === 0) return []
  return (yield { calls }) as readonly Answer[]
}

function* pick(at: number): Program<Jar | undefined> {
  return (yield { pick: at }) as Jar | undefined
}

function* read(key: string): Program<StoredRecord | undefined> {
  const answer = yield* ask({ verb: 'read', key })
  if (answer === 'lost') throw trouble
  return typeof answer === 'string' ? undefined : answer
}

function* readOwner(): Program<OwnerRecord | undefined> {
  const record = yield* read(OWNER)
  return record?.kind === 'owner' ? record : undefined
}

function emptyOwner(me: Process): OwnerRecord {
  const [epoch, rights] = me.rules.randomNames ? [me.fresh(), me.fresh()] : ['epoch 1', 'rights 1']
  return { kind: 'owner', version: '', epoch, rights, entries: [] }
}

function isListed(record: OwnerRecord | undefined, handle: string): boolean {
  return record?.entries.some((entry) => entry.handle === handle && entry.epoch === record.epoch) === true
}

function fenceOf(me: Process, { epoch, rights }: OwnerRecord): string {
  return me.rules.fencesRights ? `${epoch} ${rights}` : epoch
}

interface Change<T> {
  readonly result: T
  /** The record as it is to be, if it is to be written. */
  readonly next?: OwnerRecord
}

/** Changes the owner's record by compare-and-swap. */
function* change<T>(
  me: Process,
  decide: (record: OwnerRecord, isNew: boolean) => Change<T>,
  purpose?: Purpose,
): Program<{ readonly result: T; readonly record: OwnerRecord }> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const stored = yield* readOwner()
    const known = stored ?? emptyOwner(me)
    const { result, next } = decide(known, stored === undefined)
    if (next === undefined) return { result, record: known }
    const record = { ...next, version: me.fresh() }
    const answer = yield* ask(
      stored === undefined
        ? { verb: 'create', key: OWNER, record, purpose }
        : { verb: 'replace', key: OWNER, record, base: stored.version, purpose },
    )
    if (answer === 'ok') return { result, record }
    if (answer === 'lost' && !me.rules.settledByContent) return { result, record }
  }
  throw refusal
}

function* since(me: Process): Program<string> {
  const { result } = yield* change(me, (record, isNew) => ({
    result: fenceOf(me, record),
    ...(isNew && { next: record }),
  }))
  yield { note: 'fenced' }
  return result
}

/** What was found of each session: the keys that were looked at, and whether one of them is a session's. */
type Found = ReadonlyMap<string, { readonly keys: readonly string[]; readonly isThere: boolean }>

function* look(record: OwnerRecord, handles?: readonly string[]): Program<Found> {
  const entries = record.entries.filter(
    ({ handle, epoch }) => epoch === record.epoch && handles?.includes(handle) !== false,
  )
  const keys = [...new Set(entries.flatMap((entry) => entry.keys))]
  const answers = yield* askAll(keys.map((key) => ({ verb: 'read', key })))
  if (answers.includes('lost')) throw trouble
  const live = new Set(keys.filter((_, at) => kindOf(answers[at]) === 'session'))
  return new Map(
    entries.map((entry) => [
      entry.handle,
      { keys: entry.keys, isThere: entry.keys.some((key) => live.has(key)) },
    ]),
  )
}

function kindOf(answer: Answer | undefined): StoredRecord['kind'] | undefined {
  return typeof answer === 'object' ? answer.kind : undefined
}

/** The entries without those that were found to be gone. */
function remaining(me: Process, entries: readonly OwnerEntry[], found: Found): readonly OwnerEntry[] {
  return entries.filter(({ handle, keys }) => {
    const sight = found.get(handle)
    if (sight === undefined || sight.isThere) return true
    return me.rules.dropsOnlyWhatIsGone && !keys.every((key) => sight.keys.includes(key))
  })
}

/** Adds a session to the record, under a key. */
function withKey(me: Process, record: OwnerRecord, handle: string, key: string): readonly OwnerEntry[] {
  const own = record.entries.find((entry) => entry.handle === handle)
  const others = record.entries.filter((entry) => entry !== own)
  const known = me.rules.unionOfKeys ? (own?.keys ?? []) : []
  const entry = { handle, keys: [...new Set([...known, key])], epoch: record.epoch }
  // Without the look for itself it would stand twice, as in a list that is only appended to.
  return own !== undefined && !me.rules.looksForItself ? [...record.entries, entry] : [...others, entry]
}

function* enlist(me: Process, handle: string, key: string, fence: string | undefined): Program<void> {
  let found: Found | undefined
  if (!me.rules.countsAndAddsAtOnce) {
    const record = yield* readOwner()
    const surplus = (record?.entries.length ?? 0) + 1 - me.max
    if (record !== undefined && surplus > 0) {
      const doomed = record.entries.slice(0, surplus).map((entry) => entry.handle)
      const marked = yield* change(me, (each) => ({
        result: undefined,
        next: { ...each, entries: marking(each.entries, doomed) },
      }))
      yield* finish(me, marked.record)
    }
  }
  for (;;) {
    const { result, record } = yield* change<'full' | 'listed'>(me, (each) => {
      const own = each.entries.find((entry) => entry.handle === handle)
      const isThere = own?.epoch === each.epoch && own.keys.includes(key)
      if (isThere && me.rules.looksForItself) return { result: 'listed' }
      if (me.rules.comparesFence && fence !== undefined && fence !== fenceOf(me, each)) throw refusal
      let entries = found === undefined ? each.entries : remaining(me, each.entries, found)
      const others = entries.filter((entry) => entry.handle !== handle && entry.epoch === each.epoch)
      const surplus = others.length + 1 - me.max
      if (surplus > 0 && me.rules.countsAndAddsAtOnce) {
        if (found === undefined) return { result: 'full' }
        if (me.isRefusing) throw refusal
        entries = marking(
          entries,
          others.slice(0, surplus).map((entry) => entry.handle),
        )
      }
      return { result: 'listed', next: { ...each, entries: withKey(me, { ...each, entries }, handle, key) } }
    })
    if (result === 'listed') {
      yield* finish(me, record)
      return
    }
    found = yield* look(record)
  }
}

function marking(entries: readonly OwnerEntry[], handles: readonly string[]): readonly OwnerEntry[] {
  return entries.map((entry) => (handles.includes(entry.handle) ? { ...entry, epoch: '' } : entry))
}

/** Lists the key that a session is about to move to. Returns whether it may. */
function* follow(me: Process, handle: string, key: string): Program<boolean> {
  let absent: readonly string[] | undefined
  for (;;) {
    const { result, record } = yield* change<'listed' | 'ended' | 'many'>(me, (each) => {
      const entry = each.entries.find((one) => one.handle === handle)
      if (me.rules.onlyListedMoves && entry?.epoch !== each.epoch) return { result: 'ended' }
      if (entry?.keys.includes(key) === true) return { result: 'listed' }
      if ((entry?.keys.length ?? 0) > MANY_KEYS && absent === undefined) return { result: 'many' }
      const keys = me.rules.unionOfKeys
        ? (entry?.keys ?? []).filter((known) => absent?.includes(known) !== true)
        : []
      const others = each.entries.filter((one) => one !== entry)
      return {
        result: 'listed',
        next: { ...each, entries: [...others, { handle, keys: [...keys, key], epoch: each.epoch }] },
      }
    })
    if (result !== 'many') return result === 'listed'
    const keys = record.entries.find((one) => one.handle === handle)?.keys ?? []
    const answers = yield* askAll(keys.map((each) => ({ verb: 'read', key: each })))
    if (answers.includes('lost')) throw trouble
    absent = keys.filter((_, at) => kindOf(answers[at]) !== 'session')
  }
}

/** Destroys what is to end, then drops it. */
function* finish(me: Process, record: OwnerRecord): Program<void> {
  const ending = record.entries.filter(({ epoch }) => epoch !== record.epoch)
  if (ending.length === 0 || !me.rules.finishesWhatIsEnding) return
  const keys = new Set(ending.flatMap((entry) => entry.keys))
  const answers = yield* askAll([...keys].map((key) => ({ verb: 'destroy', key })))
  if (answers.includes('lost')) throw trouble
  const dropped = (each: OwnerRecord): readonly OwnerEntry[] =>
    each.entries.filter(
      (entry) =>
        entry.epoch === each.epoch ||
        (me.rules.dropsOnlyWhatIsGone
          ? !entry.keys.every((key) => keys.has(key))
          : !entry.keys.some((key) => keys.has(key))),
    )
  const next = { ...record, entries: dropped(record), version: me.fresh() }
  const answer = yield* ask({ verb: 'replace', key: OWNER, record: next, base: record.version })
  if (answer === 'ok') return
  yield* change(me, (each) => {
    const entries = dropped(each)
    return { result: undefined, ...(entries.length < each.entries.length && { next: { ...each, entries } }) }
  })
}

/** Ends the session under a key, under whatever key it was moved to. Returns whether there was one. */
function* end(
  me: Process,
  key: string,
  known?: StoredRecord,
  onRead: (record: StoredRecord) => void = () => {},
): Program<boolean> {
  let at = key
  let record = known
  for (let moves = 0; moves < TRIES; moves += 1) {
    record ??= yield* read(at)
    if (record === undefined || record.kind === 'tombstone') return false
    onRead(record)
    if (record.kind === 'redirect') at = record.next
    else {
      const outcome = yield* endIfSame(at, record.version)
      if (outcome !== 'conflict') return outcome === 'ok'
      if (me.rules.tombstones) yield* putTombstone(me, at)
      const newer = yield* read(at)
      if (newer === undefined) return false
      if (newer.kind !== 'redirect') return (yield* ask({ verb: 'destroy', key: at })) === 'ok'
      at = newer.next
    }
    record = undefined
  }
  throw refusal
}

function* endIfSame(key: string, base: string): Program<Answer> {
  const outcome = yield* ask({ verb: 'destroy', key, base })
  if (outcome !== 'lost') return outcome
  if ((yield* read(key)) === undefined) return 'gone'
  const again = yield* ask({ verb: 'destroy', key, base })
  if (again === 'lost') throw trouble
  return again
}

function* putTombstone(me: Process, key: string): Program<void> {
  for (let tries = 0; tries < 2; tries += 1) {
    const record = { kind: 'tombstone', version: me.fresh() } as const
    if ((yield* ask({ verb: 'create', key: tombstoneOf(key), record })) !== 'lost') return
  }
  throw trouble
}

/** Ends the session with this handle. */
function* endOfHandle(me: Process, handle: string): Program<boolean> {
  let hasEnded = false
  const gone = new Set<string>()
  for (let tries = 0; tries < TRIES; tries += 1) {
    const record = yield* readOwner()
    const entry = record?.entries.find((each) => each.handle === handle)
    if (record === undefined || entry === undefined) return hasEnded
    const keys = entry.keys.filter((key) => !gone.has(key))
    const drop = function* (): Program<boolean> {
      const entries = record.entries.filter((each) => each !== entry)
      const next = { ...record, entries, version: me.fresh() }
      return (yield* ask({ verb: 'replace', key: OWNER, record: next, base: record.version })) === 'ok'
    }
    if (!me.rules.markDestroyDrop && !(yield* drop())) continue
    const answers = yield* askAll(keys.map((key) => ({ verb: 'destroy', key })))
    if (answers.includes('lost')) throw trouble
    for (const key of keys) gone.add(key)
    hasEnded ||= answers.includes('ok')
    if (!me.rules.markDestroyDrop || (yield* drop())) return hasEnded
  }
  throw refusal
}

/** Creates a session that is signed in, lists it, and tells its client. */
function* createSignedIn(me: Process, fence: string | undefined): Program<void> {
  const handle = me.fresh()
  let id = me.fresh()
  const record = { kind: 'session', handle, isOwned: true, marked: '', caughtUp: '' } as const
  const mine: string[] = []
  const create = function* (): Program<Answer> {
    mine.push(keyOf(id))
    return yield* ask({ verb: 'create', key: keyOf(id), record: { ...record, version: me.fresh() } })
  }
  const list = function* (): Program<void> {
    try {
      yield* enlist(me, handle, keyOf(id), fence)
    } catch (error) {
      yield* ask({ verb: 'destroy', key: keyOf(id) })
      if (error === refusal) yield { note: 'refused', mine }
      throw error
    }
  }
  if (!me.rules.createBeforeListing) yield* list()
  if (!me.rules.listBeforeTelling) {
    yield* create()
    yield { tell: { handle, id, isSignIn: true } }
    return yield* list()
  }
  let outcome = yield* create()
  if (outcome === 'lost') {
    if (me.rules.oneCreateForEachKey) id = me.fresh()
    outcome = yield* create()
    if (outcome === 'lost') throw trouble
  }
  if (me.rules.createBeforeListing) yield* list()
  yield { tell: { handle, id, isSignIn: true } }
}

/** What a move comes to. */
type Moved = 'moved' | 'gone' | 'superseded'

interface Move {
  readonly key: string
  readonly base: SessionRecord
  readonly mode: 'open' | 'commit'
  /** A sign-in, with its fence; `undefined` for a session that moves for another reason. */
  readonly signIn: { readonly fence: string | undefined } | undefined
}

/** Gives a session a new ID. */
function* move(me: Process, { key: first, base: opened, mode, signIn }: Move): Program<Moved> {
  const id = me.fresh()
  const key = keyOf(id)
  const { handle } = opened
  let at = first
  let base = opened
  const passed: string[] = []
  let created: string | undefined
  let isListed = false
  let isUnsettled = false
  let mayExist = false
  const list = function* (): Program<boolean> {
    if (signIn === undefined) return base.isOwned ? yield* follow(me, handle, key) : true
    yield* enlist(me, handle, key, signIn.fence)
    return true
  }
  try {
    let outcome: Moved | undefined
    for (let tries = 0; outcome === undefined && tries < TRIES; tries += 1) {
      mayExist = true
      const copy = { ...base, isOwned: base.isOwned || signIn !== undefined }
      const written = yield* writeCopy(me, key, copy, created)
      if (written === undefined) {
        outcome = 'gone'
        break
      }
      created = written
      if (me.rules.listBeforeRedirect) {
        isListed ||= yield* list()
        if (!isListed) {
          yield* end(me, at, base)
          outcome = 'gone'
          break
        }
      }
      isUnsettled = true
      const left = yield* leaveRedirect(me, at, base, key, mode)
      isUnsettled = left === 'ok'
      if (left === 'gone') outcome = 'gone'
      if (left === 'conflict') {
        const newer = yield* latest(at)
        if (newer.record === undefined) outcome = 'gone'
        else if (newer.record.kind !== 'session') throw refusal
        else if (newer.key !== at && mode === 'open') outcome = 'superseded'
        else {
          if (newer.key !== at) passed.push(at, ...newer.passed)
          ;[at, base] = [newer.key, newer.record]
        }
      }
      if (left !== 'ok') continue
      if (!me.rules.listBeforeRedirect) isListed = yield* list()
      outcome = 'moved'
      for (const each of me.rules.movesReadTombstones ? [...passed, at] : [])
        if ((yield* read(tombstoneOf(each))) !== undefined) outcome = 'gone'
    }
    if (outcome === undefined) throw refusal
    if (outcome !== 'moved' && created !== undefined) yield* end(me, key)
    if (outcome === 'moved') yield { tell: { handle, id, isSignIn: signIn !== undefined } }
    return outcome
  } catch (error) {
    // A rotation whose redirect may be there, or may still arrive, is left alone: the old ID leads on.
    if (mayExist && !(mode === 'open' && isUnsettled)) yield* withdrawing(me, key)
    if (error === refusal && signIn !== undefined) yield { note: 'refused', mine: [key] }
    throw error
  }
}

function* withdrawing(me: Process, key: string): Program<void> {
  try {
    yield* end(me, key)
  } catch {
    // Its ID is told to no client.
  }
}

/** Writes the new record, or writes it again. Returns its version; `undefined` if it was ended meanwhile. */
function* writeCopy(
  me: Process,
  key: string,
  copy: SessionRecord,
  before: string | undefined,
): Program<string | undefined> {
  let known = before
  for (let tries = 0; tries < TRIES; tries += 1) {
    const record = { ...copy, version: me.fresh() }
    const answer = yield* ask(
      known === undefined ? { verb: 'create', key, record } : { verb: 'replace', key, record, base: known },
    )
    if (answer === 'ok') return record.version
    if (answer === 'lost') throw trouble
    const isKept = copy.isOwned && me.rules.listedIsNotCreatedAgain
    if (answer === 'gone' && isKept) return undefined
    if (answer === 'gone') known = undefined
    else {
      const newer = yield* read(key)
      if (newer === undefined) return undefined
      known = newer.version
    }
  }
  throw refusal
}

function* leaveRedirect(
  me: Process,
  key: string,
  base: SessionRecord,
  next: string,
  mode: RedirectRecord['mode'],
): Program<'ok' | 'conflict' | 'gone'> {
  const { handle, isOwned } = base
  const record = { kind: 'redirect', version: me.fresh(), next, mode, handle, isOwned } as const
  if (!me.rules.comparesBeforeRedirect) {
    const there = yield* read(key)
    if (there === undefined) return 'gone'
    const answer = yield* ask({ verb: 'replace', key, record, base: there.version })
    if (answer === 'lost') throw trouble
    return answer === 'ok' || answer === 'gone' ? answer : 'conflict'
  }
  const answer = yield* ask({ verb: 'replace', key, record, base: base.version })
  if (answer === 'lost') {
    const there = yield* read(key)
    if (there?.kind === 'redirect' && there.next === next) return 'ok'
    throw trouble
  }
  return answer === 'ok' || answer === 'gone' ? answer : 'conflict'
}

/** The record that a key leads to, along redirects of rotations. */
function* latest(key: string): Program<{
  readonly key: string
  readonly record: StoredRecord | undefined
  readonly passed: readonly string[]
}> {
  let at = key
  const passed: string[] = []
  for (let hops = 0; hops < TRIES; hops += 1) {
    const record = yield* read(at)
    if (record?.kind !== 'redirect' || record.mode === 'commit') return { key: at, record, passed }
    if (at !== key) passed.push(at)
    at = record.next
  }
  throw refusal
}

/** Opens the session that a client holds. */
function* open(
  at: number,
): Program<{ readonly jar: Jar; readonly key: string; readonly record: SessionRecord } | undefined> {
  const jar = yield* pick(at)
  if (jar === undefined) return undefined
  const { key, record } = yield* latest(keyOf(jar.id))
  return record?.kind === 'session' ? { jar, key, record } : undefined
}

function* signIn(me: Process, isFenced: boolean): Program<void> {
  const fence = isFenced ? yield* since(me) : undefined
  yield* createSignedIn(me, fence)
}

/** The ID of a session that belongs to no owner. */
export const ANONYMOUS = 'anonymous'

function* signInToAnonymous(me: Process): Program<void> {
  const fence = yield* since(me)
  const { key, record } = yield* latest(keyOf(ANONYMOUS))
  if (record?.kind !== 'session' || record.isOwned) return yield* createSignedIn(me, fence)
  const outcome = yield* move(me, { key, base: record, mode: 'commit', signIn: { fence } })
  // It was ended meanwhile: another one begins, with its owner and nothing else.
  return outcome === 'gone' ? yield* createSignedIn(me, fence) : undefined
}

function* moveOwn(me: Process, at: number, mode: 'open' | 'commit'): Program<void> {
  const opened = yield* open(at)
  if (opened === undefined) return
  const { jar, key, record } = opened
  if (mode === 'commit') yield { note: 'moves', handle: jar.handle }
  yield* move(me, { key, base: record, mode, signIn: undefined })
}

/** Changes a session by an ordinary request; `rights` if it has read the owner's rights again. */
function* write(me: Process, at: number, isCatchingUp: boolean): Program<void> {
  const opened = yield* open(at)
  if (opened === undefined) return
  const read = opened.record.marked
  if (isCatchingUp) yield { note: 'reads rights' }
  let { key, record } = opened
  for (let tries = 0; tries < TRIES; tries += 1) {
    const caughtUp = isCatchingUp ? read : record.caughtUp
    const next = { ...record, caughtUp, version: me.fresh() }
    const purpose = isCatchingUp ? 'catch up' : undefined
    const answer = yield* ask({ verb: 'replace', key, record: next, base: record.version, purpose })
    if (answer === 'lost') throw trouble
    if (answer !== 'conflict') return
    const newer = yield* latest(key)
    if (newer.record?.kind !== 'session') return
    ;[key, record] = [newer.key, newer.record]
  }
}

/** A request that looks whether its session is still listed. */
function* verify(me: Process, at: number): Program<void> {
  const opened = yield* open(at)
  if (opened?.record.isOwned !== true || !me.rules.verifies) return
  const { jar, key } = opened
  const record = yield* readOwner()
  const entry = record?.entries.find(({ handle }) => handle === jar.handle)
  if (isListed(record, jar.handle)) {
    if (entry?.keys.includes(key) === true || !me.rules.verifiesTheKey) return
    if ((yield* read(key))?.kind !== 'session') return
  }
  yield* end(me, key, opened.record)
}

function* logOut(me: Process, at: number): Program<void> {
  const jar = yield* pick(at)
  if (jar === undefined) return
  const { handle, id } = jar
  yield { note: 'may end', handles: [handle] }
  const seen: StoredRecord[] = []
  const hasEnded = yield* end(me, keyOf(id), undefined, (record) => seen.push(record))
  const isOwned = seen.some((record) => 'isOwned' in record && record.isOwned)
  if (!hasEnded && isOwned && me.rules.logoutByHandle) yield* endOfHandle(me, handle)
  if (hasEnded || seen.length > 0) yield { note: 'ended', handle, by: 'a logout' }
}

function* endOne(me: Process, at: number): Program<void> {
  const jar = yield* pick(at)
  if (jar === undefined) return
  yield { note: 'may end', handles: [jar.handle] }
  yield* endOfHandle(me, jar.handle)
  yield { note: 'ended', handle: jar.handle, by: 'end(handle)' }
}

function* endAll(me: Process, except?: number): Program<void> {
  const kept = except === undefined ? undefined : yield* pick(except)
  if (except !== undefined && kept === undefined) return
  yield { note: 'may end', handles: 'all', ...(kept && { except: kept.handle }) }
  yield { note: 'ends all', except: kept?.handle }
  const once = me.fresh()
  const doomed: OwnerEntry[] = []
  const { record } = yield* change(
    me,
    (each) => {
      if (kept !== undefined && !isListed(each, kept.handle)) throw refusal
      let epoch = me.rules.newEpochWithEachAttempt ? me.fresh() : once
      if (!me.rules.randomNames) epoch = `epoch ${Number(each.epoch.split(' ')[1]) + 1}`
      const own = each.entries.filter((entry) => entry.handle === kept?.handle)
      const others = each.entries.filter((entry) => entry.handle !== kept?.handle)
      doomed.push(...others)
      const entries = own.map((entry) => ({ ...entry, epoch }))
      const left = me.rules.markDestroyDrop ? [...others, ...entries] : entries
      return { result: undefined, next: { ...each, epoch, entries: left } }
    },
    'end all',
  )
  if (!me.rules.markDestroyDrop) {
    const answers = yield* askAll(
      doomed.flatMap((entry) => entry.keys).map((key) => ({ verb: 'destroy', key })),
    )
    if (answers.includes('lost')) throw trouble
  }
  yield* finish(me, record)
  yield { note: 'all ended' }
}

function* list(me: Process): Program<void> {
  yield* pick(-1)
  yield { note: 'looks' }
  const first = yield* readOwner()
  if (first === undefined) {
    yield { note: 'listed', handles: [] }
    return
  }
  const found = new Map(yield* look(first))
  yield* finish(me, first)
  let record = first
  for (let looks = 0; looks < TRIES; looks += 1) {
    const gone = [...found].filter(([, { isThere }]) => !isThere).map(([handle]) => handle)
    if (gone.length === 0) break
    const reading = yield* change(me, (each) => {
      const entries = remaining(me, each.entries, found)
      return {
        result: undefined,
        ...(entries.length < each.entries.length && { next: { ...each, entries } }),
      }
    })
    ;({ record } = reading)
    for (const handle of gone) found.delete(handle)
    if (!me.rules.listLooksAgain) break
    const moved = gone.filter((handle) => isListed(record, handle))
    for (const [handle, sight] of yield* look(record, moved)) found.set(handle, sight)
  }
  yield { note: 'listed', handles: [...found.keys()] }
}

function* refresh(me: Process): Program<void> {
  const { record } = yield* change(
    me,
    (each) => ({ result: undefined, next: { ...each, rights: me.fresh() } }),
    'refresh',
  )
  const { rights } = record
  const known = new Set<string>()
  let entries: readonly OwnerEntry[] = record.entries
  while (entries.length > 0) {
    const missing: string[] = []
    for (const { handle, keys } of entries) {
      let isThere = false
      for (const key of keys.filter((each) => !known.has(each))) {
        known.add(key)
        const isMarked = yield* mark(me, key, rights)
        isThere ||= isMarked
      }
      if (!isThere) missing.push(handle)
    }
    const newer = missing.length > 0 && me.rules.refreshLooksAgain ? yield* readOwner() : undefined
    entries = (newer?.entries ?? []).filter(
      ({ handle, keys }) => missing.includes(handle) && keys.some((key) => !known.has(key)),
    )
  }
  yield { note: 'refreshed' }
}

/** Says in a session that its rights are older than these. Returns whether there is one. */
function* mark(me: Process, first: string, rights: string): Program<boolean> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    let key = first
    let record = yield* read(key)
    for (let hops = 0; record?.kind === 'redirect' && hops < TRIES; hops += 1) {
      key = record.next
      record = yield* read(key)
    }
    if (record?.kind !== 'session') return false
    if (record.marked === rights) return true
    const next = { ...record, marked: me.rules.marksDiffer ? me.fresh() : rights, version: me.fresh() }
    const answer = yield* ask({ verb: 'replace', key, record: next, base: record.version })
    if (answer === 'lost') throw trouble
    if (answer !== 'conflict') return answer === 'ok'
  }
  throw refusal
}

/** Everything that a process can do. */
export const operations = {
  'signs in': (me) => signIn(me, true),
  'signs in without a fence': (me) => signIn(me, false),
  'signs in to an anonymous session': (me) => signInToAnonymous(me),
  regenerates: (me, at) => moveOwn(me, at, 'commit'),
  rotates: (me, at) => moveOwn(me, at, 'open'),
  writes: (me, at) => write(me, at, false),
  'catches up': (me, at) => write(me, at, true),
  'is verified': (me, at) => verify(me, at),
  'logs out': (me, at) => logOut(me, at),
  'ends one': (me, at) => endOne(me, at),
  'ends all': (me) => endAll(me),
  'ends all others': (me, at) => endAll(me, at),
  lists: (me) => list(me),
  refreshes: (me) => refresh(me),
} satisfies Readonly<Record<string, Operation>>

export type OperationName = keyof typeof operations

/** Several operations, one after another. One that fails is over, and the next one begins. */
export function* inTurn(
  me: Process,
  script: readonly (readonly [name: OperationName, at: number])[],
): Program<void> {
  for (const [name, at] of script) {
    const operation: Operation = operations[name]
    try {
      yield* operation(me, at)
    } catch (error) {
      if (error !== trouble && error !== refusal) throw error
      yield { note: 'failed', why: error === trouble ? 'trouble' : 'refusal' }
    }
  }
}
