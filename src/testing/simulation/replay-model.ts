import { unitedWith, withItem, type State, type Value } from './values.ts'

/** What happens when two requests change the same key: the option `isolation` of a session. */
export type Isolation = 'snapshot' | 'serializable' | 'last-wins'

/** Which isolation each key has, and which values are merged. */
export interface Rules {
  readonly isolationOf: (key: string) => Isolation
  readonly isMerged: (key: string) => boolean
}

/** What a request did to its session. */
export type Act =
  /** Read the value, which was this: what is stored or, unless it knows whether its last commit was, its own change. */
  | { readonly kind: 'get'; readonly key: string; readonly value: Value; readonly isUnsure?: boolean }
  | { readonly kind: 'has'; readonly key: string; readonly isPresent: boolean }
  /** Read which keys there are. */
  | { readonly kind: 'keys' }
  | { readonly kind: 'set'; readonly key: string; readonly value: Value }
  /** Read an object and changed it in place; set a new one where there was none. */
  | { readonly kind: 'alter'; readonly key: string; readonly value: Value }
  /** Read an object of a class that has a `merge`, and put an item into it. */
  | { readonly kind: 'collect'; readonly key: string; readonly item: string }
  | Count
  | { readonly kind: 'delete'; readonly key: string }
  | { readonly kind: 'take'; readonly key: string }
  | { readonly kind: 'clear' }
  /** Claimed a key and got nothing. That may count as having read that it is not there. */
  | { readonly kind: 'miss'; readonly key: string }

/** An `update` by a function that adds to a number. */
export interface Count {
  readonly kind: 'count'
  readonly key: string
  readonly by: number
  /** What the function does where there is no number: begins with 0, returns nothing, or throws. */
  readonly orElse: 'begin' | 'skip' | 'throw'
}

/** What happened between the acts of a request. The numbers are indexes of states. */
export type Mark =
  /** It may have been rebased onto any state up to this one. */
  | { readonly kind: 'look'; readonly until: number }
  /** Its changes were stored and have made this state. */
  | { readonly kind: 'stored'; readonly at: number }
  /** Its changes were acknowledged without a write, since they came to nothing. */
  | { readonly kind: 'settled' }
  /** Its claim of a key was stored and has made this state. */
  | { readonly kind: 'claimed'; readonly key: string; readonly at: number }

/** What one request did since it opened its session, in order. */
export type Log = readonly (Act | Mark)[]

/** All states of a session so far, the one that a request began with, and the rules. */
export interface Ground {
  readonly states: readonly State[]
  readonly from: number
  readonly rules: Rules
}

/** What a commit makes of a key where the rules refuse it. */
export const REFUSED: unique symbol = Symbol('refused')

/**
 * What a request knows of the stored value of a key: nothing; what is in the state that it builds on; or something that
 * another request has changed since.
 */
type Known = 'no' | 'yes' | 'stale'

/** What a request has made of a key, where that is not stored yet. */
type Pending =
  | { readonly kind: 'none' }
  /** `seen`: the value that the request knows, which a rebase may have made another one of. */
  | { readonly kind: 'update'; readonly counts: readonly Count[]; readonly seen: Value }
  | ({ readonly kind: 'set'; readonly value: Value; readonly seen: Value } & Past)
  | ({ readonly kind: 'delete' | 'clear' | 'take' } & Past)

/** What was before a change. */
interface Past {
  /** What the request knew of the stored value. */
  readonly knew: Known
  /** A `take` has handed it out. */
  readonly isTaken: boolean
  /** The whole session was cleared. */
  readonly isCleared: boolean
}

/** One possible standing of a request towards a key. There may be several, since it may have been rebased in between. */
interface Stand {
  /** The state that the request builds on. */
  readonly at: number
  readonly known: Known
  readonly pending: Pending
}

const none: Pending = { kind: 'none' }

/** The values that a request may see under a key. */
export function visible(key: string, log: Log, ground: Ground): readonly Value[] {
  return stands(key, log, ground).map((stand) => own(stand, key, ground))
}

/**
 * What a commit may make of a key on the state `end`: a value, or {@link REFUSED}. This is all that the library promises
 * about concurrent changes of a key: the table in `docs/concurrency.md`, written down a second time.
 *
 * There may be more than one answer, since a request may or may not have been rebased onto the states in between.
 */
export function outcomes(
  key: string,
  log: Log,
  ground: Ground,
  end: number,
): readonly (Value | typeof REFUSED)[] {
  return stands(key, [...log, { kind: 'look', until: end }], ground, true).map((stand) => {
    const last = stand === REFUSED ? REFUSED : moved(stand, end, key, ground)
    return last === REFUSED || isOutdated(last, ground.rules.isolationOf(key))
      ? REFUSED
      : own(last, key, ground)
  })
}

/** Whether a commit of the log may leave the state `end` unchanged. */
export function leaves(log: Log, ground: Ground, end: number): boolean {
  return keysOf(log, ground.states[end]).every((key) =>
    outcomes(key, log, ground, end).includes(ground.states[end]?.get(key)),
  )
}

/** The keys that the log has changed and that are not stored yet. */
export function keysOf(log: Log, state: State | undefined): readonly string[] {
  const keys = new Set<string>()
  for (const entry of log) {
    if (entry.kind === 'stored' || entry.kind === 'settled') keys.clear()
    else if (entry.kind === 'clear') for (const key of state?.keys() ?? []) keys.add(key)
    else if (entry.kind === 'claimed') keys.delete(entry.key)
    else if ('key' in entry && !isReading(entry.kind)) keys.add(entry.key)
  }
  return [...keys]
}

/** Whether something was changed, even if it comes to nothing. */
export function hasPending(log: Log): boolean {
  let pending = false
  for (const { kind } of log) {
    if (kind === 'stored' || kind === 'settled') pending = false
    else if (!isReading(kind) && kind !== 'look' && kind !== 'claimed') pending = true
  }
  return pending
}

function isReading(kind: Log[number]['kind']): boolean {
  return kind === 'get' || kind === 'has' || kind === 'keys' || kind === 'miss'
}

/** Every standing that the request may have towards the key at the end of its log. */
function stands(key: string, log: Log, ground: Ground): readonly Stand[]
function stands(key: string, log: Log, ground: Ground, refused: true): readonly (Stand | typeof REFUSED)[]
function stands(key: string, log: Log, ground: Ground, refused = false): readonly (Stand | typeof REFUSED)[] {
  let all: readonly Stand[] = [{ at: ground.from, known: 'no', pending: none }]
  let isRefused = false
  for (const entry of log) {
    isRefused = false
    if (entry.kind === 'look') {
      const looked = look(all, entry.until, key, ground)
      all = looked.stands
      isRefused = looked.isRefused
    } else if (entry.kind === 'stored') all = stored(all, entry.at, key, ground)
    else if (entry.kind === 'settled') all = settled(all, key, ground)
    else if (entry.kind === 'claimed') all = claimed(all, entry, key, ground)
    else if (!('key' in entry) || entry.key === key)
      all = all.flatMap((each) => act(each, entry, key, ground))
  }
  return refused && isRefused ? [...all, REFUSED] : all
}

/** The standing after one act of the request. An observation that does not fit rules a standing out. */
function act(stand: Stand, entry: Act, key: string, ground: Ground): readonly Stand[] {
  const { known, pending } = stand
  const value = own(stand, key, ground)
  const past = pastOf(stand, value)
  const make = (next: Pending): readonly Stand[] => [{ ...stand, pending: next }]
  const put = (seen: Value, knew: Known): readonly Stand[] =>
    make({ ...past, kind: 'set', value: seen, seen, knew })
  // A `get` reads what is stored, or what has become of the request's own change.
  const knewAfterGet = pending.kind === 'none' ? 'yes' : pending.kind === 'set' ? pending.knew : past.knew
  switch (entry.kind) {
    case 'get':
      if (value !== entry.value) return []
      if (pending.kind === 'none')
        return [...(entry.isUnsure === true ? [stand] : []), { ...stand, known: 'yes' }]
      return 'seen' in pending ? make({ ...pending, seen: value }) : [stand]
    case 'has':
      if ((value !== undefined) !== entry.isPresent) return []
      return pending.kind === 'none' && known === 'no' ? [{ ...stand, known: 'yes' }] : [stand]
    case 'miss':
      return pending.kind === 'none' && known === 'no' ? [stand, { ...stand, known: 'yes' }] : [stand]
    case 'keys': {
      const looked: Stand = known === 'no' ? { ...stand, known: 'yes' } : stand
      // It sees its own change, whether or not that counts as having read what is stored.
      return pending.kind === 'none' ? [looked] : [stand, looked]
    }
    case 'set':
      return put(entry.value, past.knew)
    case 'alter':
      return put(entry.value, knewAfterGet)
    case 'collect':
      return put(withItem(value, entry.item), knewAfterGet)
    case 'count': {
      const seen = counted(value, entry)
      if (pending.kind === 'update') return make({ ...pending, counts: [...pending.counts, entry], seen })
      if (pending.kind !== 'none') return seen === undefined ? [stand] : put(seen, past.knew)
      // The function is handed what is stored, and so is the request.
      const next: Pending = { kind: 'update', counts: [entry], seen }
      return [{ ...stand, known: known === 'stale' ? 'yes' : known, pending: next }]
    }
    case 'delete':
      return make({ ...past, kind: 'delete' })
    case 'clear':
      return make({ ...past, kind: 'clear', isCleared: true })
    case 'take':
      // What is not there is not taken. What the request itself has set is taken away like by a `delete`.
      if (value === undefined) return [stand]
      return pending.kind === 'set'
        ? make({ ...past, kind: 'delete' })
        : make({ ...past, kind: 'take', knew: known, isTaken: true })
  }
}

/** What was before a change that comes next. An `update` has handed its value to the request. */
function pastOf({ known, pending }: Stand, value: Value): Past {
  if (pending.kind === 'none') return { knew: known, isTaken: false, isCleared: false }
  if (pending.kind === 'update')
    return {
      knew: known === 'stale' || value !== pending.seen ? 'stale' : 'yes',
      isTaken: false,
      isCleared: false,
    }
  const { isTaken, isCleared } = pending
  const isOther = pending.kind === 'set' && pending.knew === 'yes' && value !== pending.seen
  return { knew: isOther ? 'stale' : pending.knew, isTaken, isCleared }
}

/** The value that the request sees. */
function own({ at, pending }: Stand, key: string, { states }: Ground): Value {
  switch (pending.kind) {
    case 'none':
      return states[at]?.get(key)
    case 'update':
      return pending.counts.reduce(counted, states[at]?.get(key))
    case 'set':
      return pending.value
    case 'delete':
    case 'clear':
    case 'take':
      return undefined
  }
}

function counted(value: Value, { by, orElse }: Count): Value {
  return value === undefined && orElse !== 'begin' ? undefined : Number(value ?? 0) + by
}

/** Whether one of the functions throws when they are run again on this value. */
function throwsOn(value: Value, counts: readonly Count[]): boolean {
  for (const count of counts) {
    if (value === undefined && count.orElse === 'throw') return true
    value = counted(value, count)
  }
  return false
}

/** Whether the request has changed the key by what an earlier commit of it has outdated. */
function isOutdated({ pending }: Stand, isolation: Isolation): boolean {
  if (pending.kind !== 'set' && pending.kind !== 'delete') return false
  return pending.knew === 'stale' && isolation !== 'last-wins'
}

/** The standing after a rebase onto a newer state. */
function moved(stand: Stand, at: number, key: string, ground: Ground): Stand | typeof REFUSED {
  if (stand.at === at) return stand
  const { known, pending } = stand
  const { states, rules } = ground
  const [base, theirs] = [states[stand.at]?.get(key), states[at]?.get(key)]
  if (base === theirs) return { ...stand, at }
  const isolation = rules.isolationOf(key)
  const hasSeen = pending.kind === 'none' || pending.kind === 'update' ? known : pending.knew
  const isTaken = pending.kind !== 'none' && pending.kind !== 'update' && pending.isTaken
  // As if requests had run one after another: whatever was seen must still be so, unless a merge is declared.
  const isMerged = pending.kind === 'set' && theirs !== undefined && rules.isMerged(key)
  if (isolation === 'serializable' && (hasSeen !== 'no' || isTaken) && !isMerged) return REFUSED
  const outdated: Known = hasSeen === 'no' ? 'no' : 'stale'
  switch (pending.kind) {
    case 'none':
      return { at, known: outdated, pending }
    case 'take':
      return { at, known: outdated, pending: none }
    case 'update':
      return throwsOn(theirs, pending.counts) ? REFUSED : { ...stand, at }
    case 'set':
      if (pending.knew === 'no') return { ...stand, at }
      // It has set what it had read, so it has changed nothing.
      if (pending.value === base && !pending.isCleared) return { at, known: outdated, pending: none }
      if (isolation === 'last-wins') return { ...stand, at }
      if (theirs === undefined || !rules.isMerged(key)) return REFUSED
      return { ...stand, at, pending: { ...pending, value: unitedWith(base, pending.value, theirs) } }
    case 'delete':
      if (pending.knew === 'no' || isolation === 'last-wins' || theirs === undefined) return { ...stand, at }
      return REFUSED
    case 'clear':
      return { ...stand, at, pending: { ...pending, knew: outdated } }
  }
}

/** The standings after rebases onto any of the states up to `until`, one after the other. */
function look(
  all: readonly Stand[],
  until: number,
  key: string,
  ground: Ground,
): { readonly stands: readonly Stand[]; readonly isRefused: boolean } {
  let isRefused = false
  let found = [...all]
  for (let at = ground.from + 1; at <= until; at += 1) {
    // oxlint-disable-next-line unicorn/no-useless-spread -- it grows meanwhile
    for (const stand of [...found]) {
      if (stand.at >= at) continue
      const next = moved(stand, at, key, ground)
      if (next === REFUSED || isOutdated(next, ground.rules.isolationOf(key))) isRefused = true
      else found.push(next)
    }
    found = distinct(found)
  }
  return { stands: found, isRefused }
}

/** The standing after the request's changes have made the state `at`. */
function stored(all: readonly Stand[], at: number, key: string, ground: Ground): readonly Stand[] {
  const after: Stand[] = []
  for (const stand of all) {
    if (stand.at >= at) continue
    const before = moved(stand, at - 1, key, ground)
    if (before !== REFUSED) after.push({ at, known: knownAfter(before, key, ground), pending: none })
  }
  return after.length === 0 ? [{ at, known: 'no', pending: none }] : distinct(after)
}

/** What the request knows of a key after its change was stored, which another request's may have been merged into. */
function knownAfter(stand: Stand, key: string, ground: Ground): Known {
  // What was handed out counts as read where all reading does.
  const isSerial = ground.rules.isolationOf(key) === 'serializable'
  const isUnknown = ({ knew, isTaken }: Past): boolean => knew === 'no' && !(isTaken && isSerial)
  const { known, pending } = stand
  switch (pending.kind) {
    case 'none':
      return known
    case 'update':
      return own(stand, key, ground) === pending.seen ? 'yes' : 'stale'
    case 'set':
      return isUnknown(pending) ? 'no' : pending.value === pending.seen ? 'yes' : 'stale'
    case 'delete':
    case 'clear':
    case 'take':
      return isUnknown(pending) ? 'no' : 'yes'
  }
}

/** The standing after a commit that had nothing to write. */
function settled(all: readonly Stand[], key: string, ground: Ground): readonly Stand[] {
  const fitting = all.filter((stand) => own(stand, key, ground) === ground.states[stand.at]?.get(key))
  return distinct(
    (fitting.length === 0 ? all : fitting).map((stand) => ({
      at: stand.at,
      known: knownAfter(stand, key, ground),
      pending: none,
    })),
  )
}

/** The standing after a claim has made the state `at`: the key is gone, and the request knows that. */
function claimed(
  all: readonly Stand[],
  { key: claimedKey, at }: { readonly key: string; readonly at: number },
  key: string,
  ground: Ground,
): readonly Stand[] {
  const after: Stand[] = []
  for (const stand of all) {
    if (stand.at > at) continue
    if (key !== claimedKey) {
      const next = moved(stand, at, key, ground)
      if (next !== REFUSED) after.push(next)
    } else after.push({ at, known: stand.known === 'no' ? 'no' : 'yes', pending: none })
  }
  return after.length === 0 ? [{ at, known: 'no', pending: none }] : distinct(after)
}

function distinct(all: readonly Stand[]): Stand[] {
  return all.length === 1
    ? [...all]
    : [...new Map(all.map((stand) => [JSON.stringify(stand), stand])).values()]
}

/** An act in words. */
export function spell(entry: Act): string {
  switch (entry.kind) {
    case 'get':
      return `gets ${entry.key}: ${entry.value ?? 'nothing'}`
    case 'has':
      return `asks whether it has ${entry.key}: ${entry.isPresent ? 'yes' : 'no'}`
    case 'keys':
      return 'lists the keys'
    case 'set':
      return `sets ${entry.key} to ${entry.value}`
    case 'alter':
      return `changes ${entry.key} in place to ${entry.value}`
    case 'collect':
      return `puts ${entry.item} into ${entry.key}`
    case 'count':
      return `counts ${entry.by} to ${entry.key}${entry.orElse === 'begin' ? '' : `, or else would ${entry.orElse}`}`
    case 'delete':
      return `deletes ${entry.key}`
    case 'take':
      return `takes ${entry.key}`
    case 'clear':
      return 'clears'
    case 'miss':
      return `gets no ${entry.key}`
  }
}
