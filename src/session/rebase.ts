import type { Document } from '../codec/document/document.ts'
import type { Registry } from '../registry.ts'
import { applyUpdate, isObject, type Draft, type KeyChange } from './draft.ts'
import { merge } from './merge.ts'

/**
 * Replays a request's log on a newer snapshot of its session, after another request has committed.
 *
 * A key that only one of the two requests changed keeps that change. If both changed it: a delete wins over a change,
 * `update` runs its functions again on the newer value, a class with `merge` merges the two, and otherwise this request's
 * value replaces the stored one.
 *
 * @returns how many keys lost one side's change; the caller reports the number.
 * @throws SessionError `ERR_SESSION_DECODE` if their value is needed, by `update` or `merge`, and cannot be read here
 */
export function rebase(draft: Draft, newer: Document, registry: Registry): number {
  let lost = 0
  for (const [key, change] of draft.keyChanges) {
    if (change.kind === 'delete') continue
    const base = draft.base.line(key)
    const theirs = newer.line(key)
    if (base === theirs) continue
    const mine = draft.textOf(key, change)
    const own = change.own || draft.cleared
    const changed = own || (mine !== base && (change.kind !== 'read' || mine !== reencoded(draft, key, base)))
    const deleted = theirs === undefined && base !== undefined && !own
    if (!changed || deleted) {
      // This request changed nothing, or gives way to a deletion: the stored state of the key holds.
      markStale(draft, key, change, mine)
      draft.keyChanges.delete(key)
      if (changed) lost += 1
    } else if (theirs !== undefined && !own) {
      if (!combine(draft, key, change, mine, base, theirs, registry)) lost += 1
    }
  }
  draft.base = newer
  return lost
}

/** Combines both changes into one value. Returns false if this request's value simply replaces the stored one. */
function combine(
  draft: Draft,
  key: string,
  change: KeyChange,
  mine: string,
  base: string | undefined,
  theirs: string,
  registry: Registry,
): boolean {
  if (change.kind === 'update' && mine === change.text) {
    let value = draft.decode(key, theirs)
    for (const updater of change.updates) value = applyUpdate(updater, value)
    replaceValue(draft, key, change, value)
    return true
  }
  const rule = isObject(change.value) ? registry.mergeOf(change.value) : undefined
  if (rule === undefined) return false
  const other = draft.decode(key, theirs)
  if (!isObject(other) || Object.getPrototypeOf(other) !== Object.getPrototypeOf(change.value)) return false
  const ancestor = base === undefined ? undefined : draft.decode(key, base)
  const { codec } = draft.settings
  const result = merge(rule, key, ancestor, change.value, other, {
    encode: (value, path) => codec.encode(value, path),
    mergeOf: (value) => registry.mergeOf(value),
    planOf: (prototype) => registry.planOf(prototype),
  })
  if (result.merged) replaceValue(draft, key, change, result.value)
  return result.merged
}

function replaceValue(draft: Draft, key: string, change: KeyChange, value: unknown): void {
  if (value !== change.value) markStale(draft, key, change, draft.textOf(key, change))
  draft.settings.schema?.check(key, value)
  change.value = value
  change.text = draft.settings.codec.encode(value, key)
  if (change.kind === 'read') change.kind = 'set'
}

function markStale(draft: Draft, key: string, change: KeyChange, text: string): void {
  if (isObject(change.value)) draft.stale.set(change.value, { key, text })
}

/** The stored value as this program encodes it: an upgraded class differs in text although nothing was changed. */
function reencoded(draft: Draft, key: string, line: string | undefined): string | undefined {
  return line === undefined ? undefined : draft.settings.codec.encode(draft.decode(key, line), key)
}
