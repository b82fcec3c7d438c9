import type { Document } from '../codec/document/document.ts'
import { SessionError } from '../errors.ts'
import { applyUpdate, type Draft, type KeyChange } from './draft.ts'
import { conflictOf, type ChangeKind } from './isolation.ts'
import { merge } from './merge.ts'

/** What becomes of one key of a request's log on the newer snapshot. */
type Resolution =
  /** The change stands as it is. */
  | { readonly kind: 'keep' }
  /** The request changed nothing, or gives way: the stored state of the key holds. */
  | { readonly kind: 'drop' }
  /** The change has a new value. Without `isPresent` the key is deleted. */
  | {
      readonly kind: 'value'
      readonly value: unknown
      readonly isPresent: boolean
      /** Takes back what a merge has changed in place. */
      readonly undo?: () => void
    }
  /** The change replaces another request's, as `'last-wins'` has it. */
  | { readonly kind: 'overwrite' }

const keep: Resolution = { kind: 'keep' }
const drop: Resolution = { kind: 'drop' }
const overwrite: Resolution = { kind: 'overwrite' }

const CHANGED = 'another request has changed it since'
const DELETED = 'another request has deleted it since'

/**
 * Replays a request's log on a newer snapshot of its session, after another request has committed. What happens to a key
 * that both have changed stands in the table of `docs/concurrency.md`. All keys are looked at before the first one is
 * changed: a rebase that is refused leaves the draft as it was.
 *
 * @returns how many changes of other requests are overwritten, as isolation `'last-wins'` allows
 * @throws SessionError `ERR_SESSION_CONFLICT` if the two requests' changes cannot both be kept; `ERR_SESSION_DECODE` if a
 *   value that is needed cannot be read here
 */
export function rebase(draft: Draft, newer: Document): number {
  const resolutions: [key: string, change: KeyChange, resolution: Resolution][] = []
  const outdated = draft.outdatedBy(newer)
  try {
    for (const [key, change] of draft.keyChanges) {
      const base = draft.base.line(key)
      const theirs = newer.line(key)
      if (base === theirs) continue
      const resolution = resolve(draft, key, change, base, theirs)
      resolutions.push([key, change, resolution])
      if (resolution.kind === 'value') draft.check(key, resolution.value, resolution.isPresent)
    }
    for (const key of outdated)
      if (draft.settings.rules.isolationOf(key) === 'serializable') throw conflictOf(key, 'read', CHANGED)
  } catch (error) {
    for (const [, , resolution] of resolutions) if (resolution.kind === 'value') resolution.undo?.()
    throw error
  }

  let overwritten = 0
  for (const [key, change, resolution] of resolutions) {
    if (resolution.kind === 'overwrite') overwritten += 1
    else if (resolution.kind === 'drop') draft.drop(key, change)
    else if (resolution.kind === 'value')
      draft.replaceValue(key, change, resolution.value, resolution.isPresent)
  }
  draft.rebaseOnto(newer, outdated)
  return overwritten
}

function resolve(
  draft: Draft,
  key: string,
  change: KeyChange,
  base: string | undefined,
  theirs: string | undefined,
): Resolution {
  const isolation = draft.settings.rules.isolationOf(key)
  const isStaleRead = isolation === 'serializable' && change.isRead
  const whatHappened = theirs === undefined ? DELETED : CHANGED
  switch (change.kind) {
    case 'read':
      if (draft.isChangedInPlace(key, change))
        return combine(draft, key, change, 'read and changed', base, theirs)
      if (isStaleRead) throw conflictOf(key, 'read', whatHappened)
      return drop
    case 'set':
      if (!change.isRead) return keep
      if (change.text === base && !draft.cleared && !draft.isChangedInPlace(key, change)) break
      return combine(draft, key, change, 'read and changed', base, theirs)
    case 'update':
      if (draft.isChangedInPlace(key, change))
        return combine(draft, key, change, 'read and changed', base, theirs)
      if (isStaleRead) throw conflictOf(key, 'updated', whatHappened)
      return rerun(draft, key, change, theirs)
    case 'delete':
      if (isStaleRead) throw conflictOf(key, 'read and deleted', whatHappened)
      if (!change.isRead || theirs === undefined) return keep
      if (isolation === 'last-wins') return overwrite
      throw conflictOf(key, 'read and deleted', CHANGED)
    case 'take':
      break
  }
  if (isStaleRead) throw conflictOf(key, 'read', whatHappened)
  return drop
}

/** Runs the functions of `update` on what is stored now. */
function rerun(draft: Draft, key: string, change: KeyChange, theirs: string | undefined): Resolution {
  let value = theirs === undefined ? undefined : draft.decode(key, theirs)
  try {
    for (const updater of change.updates) value = applyUpdate(updater, value)
  } catch (cause) {
    throw conflictOf(key, 'updated', `${CHANGED}, and its function threw when it was run again`, cause)
  }
  return { kind: 'value', value, isPresent: theirs !== undefined || value !== undefined }
}

/** Makes one value of two changes, where a merge is declared for it. */
function combine(
  draft: Draft,
  key: string,
  change: KeyChange,
  kind: ChangeKind,
  base: string | undefined,
  theirs: string | undefined,
): Resolution {
  const { rules, codec } = draft.settings
  if (rules.isolationOf(key) === 'last-wins') return overwrite
  if (theirs === undefined) throw conflictOf(key, kind, DELETED)
  const rule = rules.mergeOf(key, change.value)
  if (rule === undefined) throw conflictOf(key, kind, CHANGED)
  const other = draft.decode(key, theirs)
  const ancestor = base === undefined ? undefined : draft.decode(key, base)
  try {
    const result = merge(rule, key, ancestor, change.value, other, rules.mergeTools(codec))
    if (result.merged) return { kind: 'value', value: result.value, isPresent: true, undo: result.undo }
    throw conflictOf(key, kind, `${CHANGED}: ${result.reason}`)
  } catch (cause) {
    if (cause instanceof SessionError) throw cause
    throw conflictOf(key, kind, `${CHANGED}, and its merge threw`, cause)
  }
}
