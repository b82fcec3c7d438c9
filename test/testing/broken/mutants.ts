import { CommitRetry } from '../../../src/session/commit/retry.ts'
import { Writer } from '../../../src/session/commit/writer.ts'
import { Draft } from '../../../src/session/draft.ts'
import { SessionManager } from '../../../src/session/manager.ts'
import { Session } from '../../../src/session/session.ts'
import { GatedStore } from '../../../src/testing/simulation/gated-store.ts'
import type { Invariant } from '../../../src/testing/simulation/violations.ts'

/** The library with one fault, and the invariant that this violates. */
export interface Mutant {
  readonly fault: string
  readonly invariant: Invariant
  readonly apply: () => AppliedFault
}

export interface AppliedFault {
  /** How often the faulty method was called. */
  readonly calls: () => number
  readonly undo: () => void
}

/**
 * Puts a faulty method in the place of a class's own. What the library asks of the store is changed in `GatedStore`, through
 * which all its calls go; what it offers, in `Session` and `SessionManager`; what it does in between, in as few methods as possible.
 */
function mutant<P extends object, K extends keyof P>(
  fault: string,
  invariant: Invariant,
  prototype: P,
  name: K,
  make: (original: P[K]) => P[K],
): Mutant {
  return {
    fault,
    invariant,
    apply: () => {
      const original = prototype[name]
      const faulty = make(original)
      if (typeof faulty !== 'function') throw new TypeError(`${String(name)} is not a method`)
      let calls = 0
      prototype[name] = new Proxy(faulty, {
        apply: (target, self, args: unknown[]) => {
          calls += 1
          return Reflect.apply(target, self, args) as unknown
        },
      })
      return { calls: () => calls, undo: () => void (prototype[name] = original) }
    },
  }
}

export const mutants: readonly Mutant[] = [
  mutant(
    'a rebase forgets what the request has set',
    'replayed',
    CommitRetry.prototype,
    'rebase',
    (rebase) =>
      function forgetful(this: CommitRetry, state, newer) {
        state.draft.keyChanges.clear()
        return rebase.call(this, state, newer)
      },
  ),
  mutant(
    'a rebase replays no update',
    'counted',
    CommitRetry.prototype,
    'rebase',
    (rebase) =>
      function lazy(this: CommitRetry, state, newer) {
        for (const change of state.draft.keyChanges.values())
          if (change.kind === 'update') change.kind = 'set'
        return rebase.call(this, state, newer)
      },
  ),
  mutant(
    'a rebase lets a set win over a delete',
    'deleted',
    CommitRetry.prototype,
    'rebase',
    (rebase) =>
      function stubborn(this: CommitRetry, state, newer) {
        for (const change of state.draft.keyChanges.values()) change.isRead = false
        return rebase.call(this, state, newer)
      },
  ),
  mutant(
    'get decodes what is stored whatever has been set since',
    'seen',
    Draft.prototype,
    'get',
    () =>
      function forgetful(this: Draft, key) {
        const line = this.base.line(key)
        return line === undefined ? undefined : this.decode(key, line)
      },
  ),
  mutant(
    'the log is not emptied by a commit',
    'counted',
    Draft.prototype,
    'settle',
    (settle) =>
      function hoarding(this: Draft, payload) {
        const log = [...this.keyChanges].map(([key, change]) => [key, { ...change }] as const)
        settle.call(this, payload)
        for (const [key, change] of log) this.keyChanges.set(key, change)
      },
  ),
  mutant(
    'a commit that failed is forgotten when it is tried again',
    'counted',
    Writer.prototype,
    'settle',
    () => async () => 'ok',
  ),
  mutant(
    'a claim is a read and a delete',
    'claimed',
    Session.prototype,
    'claim',
    () =>
      async function careless(this: Session, key) {
        return this.take(key)
      },
  ),
  mutant(
    'a session that another request has ended is reported as saved',
    'preserved',
    SessionManager.prototype,
    'commit',
    (commit) =>
      async function hopeful(this: SessionManager, session) {
        const outcome = await commit.call(this, session)
        return outcome === 'gone' ? 'ok' : outcome
      },
  ),
  mutant(
    'regenerate copies the record and removes the old one, whatever it is by now',
    'preserved',
    GatedStore.prototype,
    'destroy',
    (destroy) =>
      async function blind(this: GatedStore, key, _base, until) {
        return destroy.call(this, key, undefined, until)
      },
  ),
  mutant(
    'regenerate goes on although another request has ended the session',
    'single',
    GatedStore.prototype,
    'destroy',
    (destroy) =>
      async function careless(this: GatedStore, key, base, until) {
        const outcome = await destroy.call(this, key, base, until)
        return base !== undefined && outcome === 'gone' ? 'ok' : outcome
      },
  ),
  mutant(
    'a write whose answer was lost is made again on whatever is stored',
    'counted',
    GatedStore.prototype,
    'replace',
    (replace) =>
      async function impatient(this: GatedStore, key, payload, expiresAt, base) {
        const write = async (): ReturnType<GatedStore['replace']> =>
          replace.call(this, key, payload, expiresAt, base)
        return write().catch(write)
      },
  ),
]
