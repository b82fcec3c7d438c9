import { withItem, type State, type Value } from './values.ts'

/** One change of a request to its session. */
export type Change =
  | { readonly kind: 'set'; readonly key: string; readonly value: Value }
  | { readonly kind: 'count'; readonly key: string; readonly by: number }
  | { readonly kind: 'collect'; readonly key: string; readonly item: string }
  | { readonly kind: 'delete'; readonly key: string }
  | { readonly kind: 'clear' }

/** The request may have seen what other requests had stored up to then. `until` is the index of the newest state. */
export interface Look {
  readonly kind: 'look'
  readonly until: number
}

/** The request had deleted a key, or all keys if `undefined`, and this is stored by now. */
export interface Deletion {
  readonly kind: 'deleted'
  readonly key: string | undefined
}

/** What one request did since its last acknowledged commit, in order. */
export type Log = readonly (Change | Look | Deletion)[]

/** All states of a session so far, and the range of those that a log may have begun with. */
export interface Ground {
  readonly states: readonly State[]
  readonly from: number
  readonly to: number
}

/** One possible standing of a key: the state last looked at, and the changes since then that still count. */
interface Stand {
  readonly at: number
  readonly changes: readonly (Change | Deletion)[]
}

/**
 * The values that a request may see under a key: its own changes, replayed on a state between the one that it began with
 * and the one that it last looked at.
 */
export function visible(key: string, log: Log, ground: Ground): readonly Value[] {
  return stands(key, log, ground).map(({ at, changes }) => replay(changes, ground.states[at]?.get(key)))
}

/**
 * The values that a key may have after a commit on the state `end`. This is all that the library promises about concurrent
 * changes: the log is replayed on the newest state; a change is dropped if another request has deleted the key since the
 * request last looked, unless the request had itself deleted it before.
 *
 * There may be more than one answer, since a request may or may not have looked at the states in between.
 */
export function outcomes(key: string, log: Log, ground: Ground, end: number): readonly Value[] {
  const looked = stands(key, [...log, { kind: 'look', until: end }], ground)
  return looked.map((stand) => replay(moved(stand, end, key, ground).changes, ground.states[end]?.get(key)))
}

/** Whether replaying the log may leave the state `end` unchanged. */
export function leaves(log: Log, ground: Ground, end: number): boolean {
  return keysOf(log, ground.states[end]).every((key) =>
    outcomes(key, log, ground, end).includes(ground.states[end]?.get(key)),
  )
}

/** The keys that a log may have touched. */
export function keysOf(log: Log, state: State | undefined): readonly string[] {
  const keys = new Set<string>()
  for (const change of log) {
    if ('key' in change && change.kind !== 'deleted') keys.add(change.key)
    if (change.kind === 'clear') for (const key of state?.keys() ?? []) keys.add(key)
  }
  return [...keys]
}

/** The part of a log that is not stored yet. */
export function pendingOf(log: Log, applied: ReadonlySet<object>): Log {
  return log.flatMap((change): Log => {
    if (!applied.has(change)) return [change]
    if (change.kind === 'clear') return [{ kind: 'deleted', key: undefined }]
    return change.kind === 'delete' ? [{ kind: 'deleted', key: change.key }] : []
  })
}

/** Every standing that the key may have at the end of the log. */
function stands(key: string, log: Log, ground: Ground): readonly Stand[] {
  let all: Stand[] = []
  for (let at = ground.from; at <= ground.to; at += 1) all.push({ at, changes: [] })
  for (const change of log) {
    if (change.kind === 'look') {
      for (let at = ground.from + 1; at <= change.until; at += 1) {
        for (const stand of all) if (stand.at < at) all = [...all, moved(stand, at, key, ground)]
      }
      all = distinct(all)
    } else if (change.kind === 'clear' || change.key === key || change.key === undefined) {
      all = all.map((stand) => ({ at: stand.at, changes: [...stand.changes, change] }))
    }
  }
  return all
}

/** The standing after a look at a newer state. */
function moved(stand: Stand, at: number, key: string, { states }: Ground): Stand {
  if (stand.at === at) return stand
  const deleted = states[stand.at]?.has(key) === true && states[at]?.has(key) !== true
  const own = stand.changes.some(({ kind }) => ['delete', 'clear', 'deleted'].includes(kind))
  return { at, changes: deleted && !own ? [] : stand.changes }
}

function distinct(all: readonly Stand[]): Stand[] {
  return [...new Map(all.map((stand) => [`${stand.at} ${stand.changes.length}`, stand])).values()]
}

function replay(changes: Stand['changes'], stored: Value): Value {
  let value = stored
  for (const change of changes) {
    if (change.kind === 'set') ({ value } = change)
    else if (change.kind === 'count') value = Number(value ?? 0) + change.by
    else if (change.kind === 'collect') value = withItem(value, change.item)
    else if (change.kind !== 'deleted') value = undefined
  }
  return value
}

/** A change in words. */
export function spell(change: Change): string {
  if (change.kind === 'clear') return 'clears'
  if (change.kind === 'set') return `sets ${change.key} to ${change.value}`
  if (change.kind === 'count') return `counts ${change.by} to ${change.key}`
  return change.kind === 'delete' ? `deletes ${change.key}` : `puts ${change.item} into ${change.key}`
}
