import type { Document } from '../codec/document/document.ts'
import type { Draft } from './draft.ts'
import type { Registry } from '../registry.ts'
import { applyUpdate, isObject, type Slot } from './key-change.ts'

/**
 * Replays a request's log on a newer snapshot of its session, after somebody else had committed in between.
 *
 * Keys that only one side touched keep that side's value. Where both did: a delete wins over a change, `update` runs its
 * functions again on the newer value, a class with `merge` decides for itself, and otherwise ours replaces theirs.
 *
 * @returns how many keys lost one side's change; the caller reports the number.
 * @throws SessionError `ERR_SESSION_DECODE` if their value is needed, by `update` or `merge`, and cannot be read here
 */
export function rebase(draft: Draft, newer: Document, registry: Registry): number {
  let lost = 0
  for (const [key, slot] of draft.slots) {
    if (slot.kind === 'delete') continue
    const base = draft.base.line(key)
    const theirs = newer.line(key)
    if (base === theirs) continue
    const mine = draft.textOf(key, slot)
    const own = slot.own || draft.cleared
    const changed = own || (mine !== base && (slot.kind !== 'read' || mine !== respelled(draft, key, base)))
    const deleted = theirs === undefined && base !== undefined && !own
    if (!changed || deleted) {
      // Ours is no change, or gives way to their deletion: from now on the key is what they made it.
      retire(draft, key, slot, mine)
      draft.slots.delete(key)
      if (changed) lost += 1
    } else if (theirs !== undefined && !own) {
      if (!combine(draft, key, slot, mine, base, theirs, registry)) lost += 1
    }
  }
  draft.base = newer
  return lost
}

/** Makes one value of both sides' changes; false if ours simply replaces theirs. */
function combine(
  draft: Draft,
  key: string,
  slot: Slot,
  mine: string,
  base: string | undefined,
  theirs: string,
  registry: Registry,
): boolean {
  if (slot.kind === 'update' && mine === slot.text) {
    let value = draft.decode(key, theirs)
    for (const updater of slot.updates) value = applyUpdate(updater, value)
    replaceValue(draft, key, slot, value)
    return true
  }
  const merge = isObject(slot.value) ? registry.mergeOf(slot.value) : undefined
  if (merge === undefined) return false
  const other = draft.decode(key, theirs)
  if (!isObject(other) || Object.getPrototypeOf(other) !== Object.getPrototypeOf(slot.value)) return false
  const ancestor = base === undefined ? undefined : draft.decode(key, base)
  replaceValue(draft, key, slot, merge(ancestor, slot.value, other))
  return true
}

function replaceValue(draft: Draft, key: string, slot: Slot, value: unknown): void {
  if (value !== slot.value) retire(draft, key, slot, draft.textOf(key, slot))
  draft.settings.schema?.check(key, value)
  slot.value = value
  slot.text = draft.settings.codec.encode(value, key)
  if (slot.kind === 'read') slot.kind = 'set'
}

function retire(draft: Draft, key: string, slot: Slot, text: string): void {
  if (isObject(slot.value)) draft.stale.set(slot.value, { key, text })
}

/** How this process would spell the stored value: an upgraded class differs in text without having been changed. */
function respelled(draft: Draft, key: string, line: string | undefined): string | undefined {
  return line === undefined ? undefined : draft.settings.codec.encode(draft.decode(key, line), key)
}
