/** A change that is run again when somebody else was faster. */
export type Updater = (value: unknown) => unknown

/** What this request knows of one key: that it was read, or how it was changed. */
export interface KeyChange {
  kind: 'read' | 'set' | 'update' | 'delete'
  /** The live value, the very object that the route holds. */
  value: unknown
  /** How it was encoded when it was set; a later change in place makes it differ. */
  text: string | undefined
  /** The functions of `update`, in order. */
  updates: Updater[]
  /** How many of them, or whether the deletion, are part of the payload that is under way. */
  sent: number
  /** How it is spelled in the payload that is under way; `undefined` if it is not part of it. */
  sentText: string | undefined
  /** Set after this request itself had deleted the key: it stands on its own, whatever others did to the old value. */
  own: boolean
}

export const noUpdates: Updater[] = []
const noHistory: Partial<KeyChange> = {}

/** What becomes known of a key: nothing but this, unless something was done to it before. */
export function keyChange(
  kind: KeyChange['kind'],
  value: unknown,
  text: string | undefined,
  { updates = noUpdates, sent = 0, own = false }: Partial<KeyChange> = noHistory,
): KeyChange {
  return { kind, value, text, updates, sent, sentText: undefined, own }
}

/** Runs a function of `update`; one that returns nothing keeps the value it was given, with what it changed in it. */
export function applyUpdate(updater: Updater, value: unknown): unknown {
  const result = updater(value)
  return result === undefined ? value : result
}

export function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}
