import { SessionError } from '../errors.ts'
import type { Registry } from '../registry.ts'
import type { Merge, MergeTools } from './merge.ts'

/**
 * What happens when two requests change one session at the same time.
 *
 * - `'snapshot'`, the default: a request that has read a key and then changed it is refused with 409 if another request has
 *   changed that key in between, unless the change can be replayed (`update`) or merged (`merge`).
 * - `'serializable'`: it is also refused if a key that it has only read was changed, when it changes anything else. The
 *   outcome is the same as if requests had run one after another.
 * - `'last-wins'`: it is never refused; the change that is committed last replaces the other one, with an event `conflict`.
 */
export type Isolation = 'snapshot' | 'serializable' | 'last-wins'

export const ISOLATIONS: readonly Isolation[] = ['snapshot', 'serializable', 'last-wins']

/** How concurrent changes of one key are handled. */
export interface KeyOptions {
  /** Default: the session's `isolation`. */
  readonly isolation?: Isolation
  /** How two changes of the value become one. Default: the `merge` of its class, if it has one. */
  readonly merge?: Merge
}

/** What a request did to a key, for the text of a conflict. */
export type ChangeKind = 'read' | 'read and changed' | 'read and deleted' | 'updated'

/** The rules of one session manager for concurrent changes. */
export class KeyRules {
  readonly #isolation: Isolation
  readonly #keys: ReadonlyMap<string, KeyOptions | undefined>
  readonly #registry: Registry

  constructor(
    isolation: Isolation,
    keys: Readonly<Record<string, KeyOptions | undefined>>,
    registry: Registry,
  ) {
    this.#isolation = isolation
    this.#keys = new Map(Object.entries(keys))
    this.#registry = registry
  }

  isolationOf(key: string): Isolation {
    return this.#keys.get(key)?.isolation ?? this.#isolation
  }

  /** What a merge needs besides the values. */
  mergeTools(codec: Pick<MergeTools, 'encode'>): MergeTools {
    const registry = this.#registry
    return {
      encode: (value, key) => codec.encode(value, key),
      mergeOf: (value) => registry.mergeOf(value),
      planOf: (prototype) => registry.planOf(prototype),
    }
  }

  /** The declared merge for this value under this key. */
  mergeOf(key: string, value: unknown): Merge | undefined {
    return this.#keys.get(key)?.merge ?? this.#registry.mergeOf(value)
  }
}

/** A change that cannot be stored beside another request's. Nothing of the commit was stored. */
export function conflictOf(key: string, kind: ChangeKind, reason: string, cause?: unknown): SessionError {
  const remedy =
    kind === 'read'
      ? 'repeat the request'
      : "change it by session.update(), declare a merge for it, or choose isolation 'last-wins' for it"
  return new SessionError(
    'ERR_SESSION_CONFLICT',
    `${key}: this request has ${kind} it, and ${reason}; nothing was stored; ${remedy}`,
    cause === undefined ? {} : { cause },
  )
}
