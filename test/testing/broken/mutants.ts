import { Document } from '../../../src/codec/document/document.ts'
import { defaultLimits } from '../../../src/codec/limits.ts'
import { Committer } from '../../../src/session/commit/committer.ts'
import { CommitRetry } from '../../../src/session/commit/retry.ts'
import { Draft } from '../../../src/session/draft.ts'
import { GuardedStore } from '../../../src/session/backend/guarded-store.ts'
import type { Entry } from '../../../src/store.ts'
import type { Invariant } from '../../../src/testing/simulation/violations.ts'
import { Writer } from '../../../src/session/commit/writer.ts'

/** The library with one thing done wrong, and what that breaks. */
export interface Mutant {
  readonly fault: string
  readonly invariant: Invariant
  /** Does it wrong from now on; returns what does it right again. */
  readonly mutate: () => () => void
}

/** Puts another method in the place of a class's own. */
function mutant<P extends object, K extends keyof P>(
  fault: string,
  invariant: Invariant,
  prototype: P,
  name: K,
  method: (original: P[K]) => P[K],
): Mutant {
  return {
    fault,
    invariant,
    mutate: () => {
      const original = prototype[name]
      prototype[name] = method(original)
      return () => {
        prototype[name] = original
      }
    },
  }
}

/** Takes the newer snapshot and keeps the log as it is. */
function takeOver(state: Parameters<CommitRetry['rebase']>[0], newer: Entry): void {
  state.draft.base = Document.parse(newer.payload, defaultLimits)
  state.rebasedOnto(newer)
}

export const mutants: readonly Mutant[] = [
  mutant(
    'a rebase forgets what the request has set',
    'replayed',
    CommitRetry.prototype,
    'rebase',
    () => (state, newer) => {
      takeOver(state, newer)
      state.draft.keyChanges.clear()
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
  mutant('a rebase replays no update', 'counted', CommitRetry.prototype, 'rebase', () => takeOver),
  mutant('a rebase lets a set win over a delete', 'deleted', CommitRetry.prototype, 'rebase', () => takeOver),
  mutant(
    'a claim is a read and a delete',
    'claimed',
    Committer.prototype,
    'claim',
    () =>
      async ({ draft }, key) => {
        const value = draft.get(key)
        if (value !== undefined) draft.delete(key)
        return value
      },
  ),
  mutant(
    'regenerate copies the record and removes the old one whatever it is by now',
    'preserved',
    GuardedStore.prototype,
    'destroy',
    (destroy) =>
      async function blind(this: GuardedStore, key, _base, deadline, until) {
        return destroy.call(this, key, undefined, deadline, until)
      },
  ),
  mutant(
    'regenerate goes on although somebody else has ended the session',
    'single',
    GuardedStore.prototype,
    'destroy',
    (destroy) =>
      async function careless(this: GuardedStore, key, base, deadline, until) {
        const outcome = await destroy.call(this, key, base, deadline, until)
        return base !== undefined && outcome === 'gone' ? 'ok' : outcome
      },
  ),
  mutant(
    'a session that was ended by somebody else is reported as saved',
    'preserved',
    CommitRetry.prototype,
    'gone',
    () => () => 'ok' as 'gone',
  ),
  mutant(
    'a write whose answer was lost is made again upon whatever is there',
    'counted',
    GuardedStore.prototype,
    'replace',
    () =>
      async function impatient(this: GuardedStore, key, payload, expiresAt, base, deadline) {
        const replace = async (): ReturnType<GuardedStore['replace']> =>
          this.calls.run('replace', () => this.store.replace(key, payload, expiresAt, base), deadline)
        return replace().catch(replace)
      },
  ),
  mutant(
    'a commit that failed is forgotten when it is tried again',
    'counted',
    Writer.prototype,
    'settle',
    () => async (state) => {
      state.settledAsGone()
      return 'ok'
    },
  ),
  mutant(
    'the log is not emptied by a commit',
    'counted',
    Draft.prototype,
    'settle',
    () =>
      function forgetful(this: Draft, payload) {
        if (payload !== undefined) this.base = Document.parse(payload, defaultLimits)
      },
  ),
]
