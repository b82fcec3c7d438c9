import { defaultLimits } from '../../../src/codec/limits.ts'
import { Destroyer } from '../../../src/session/commit/destroy.ts'
import { Mover } from '../../../src/session/commit/move.ts'
import { CommitRetry } from '../../../src/session/commit/retry.ts'
import { Writer } from '../../../src/session/commit/writer.ts'
import { Draft, type KeyChange } from '../../../src/session/draft.ts'
import { SessionManager } from '../../../src/session/manager.ts'
import { redirectOf, redirectPayload } from '../../../src/session/redirect.ts'
import { Session, stateOf } from '../../../src/session/session.ts'
import type { SessionState } from '../../../src/session/state.ts'
import { current, GatedStore } from '../../../src/testing/simulation/gated-store.ts'
import { recordOf } from '../../../src/testing/simulation/records.ts'
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

/** A rebase before which each change of the request's log is made another one. */
function rebase(fault: string, invariant: Invariant, distort: (change: KeyChange) => void): Mutant {
  return mutant(
    fault,
    invariant,
    CommitRetry.prototype,
    'rebase',
    (original) =>
      function distorted(this: CommitRetry, state, newer) {
        for (const change of state.draft.keyChanges.values()) distort(change)
        return original.call(this, state, newer)
      },
  )
}

// Each session's state is of one class, which is not exported.
const StatePrototype = Object.getPrototypeOf(stateOf(new SessionManager().begin())) as SessionState

/** What the request that calls the store does, and how many redirects it has met while it did so. */
const hops = new WeakMap<object, { doing: string; count: number }>()

export const mutants: readonly Mutant[] = [
  rebase('a rebase forgets what the request has set', 'replayed', (change) => {
    if (change.kind === 'set') change.kind = 'read'
  }),
  rebase('a rebase replays no update', 'counted', (change) => {
    if (change.kind === 'update') Object.assign(change, { kind: 'set', isRead: false })
  }),
  rebase('a read and then a set is stored over a change', 'refused', (change) => {
    change.isRead = false
  }),
  rebase('a set without a read is refused like one after a read', 'served', (change) => {
    if (change.kind === 'set') change.isRead = true
  }),
  rebase('a take deletes what another request has put there', 'preserved', (change) => {
    if (change.kind === 'take') Object.assign(change, { kind: 'delete', isRead: false })
  }),
  mutant(
    'an update that is run again brings back what was deleted',
    'deleted',
    Draft.prototype,
    'replaceValue',
    (replaceValue) =>
      function reviving(this: Draft, key, change, value, isValue) {
        if (isValue || change.value === undefined) return replaceValue.call(this, key, change, value, isValue)
        return replaceValue.call(this, key, change, change.value, true)
      },
  ),
  mutant(
    'what an earlier commit has outdated may be overwritten',
    'refused',
    Draft.prototype,
    'rebaseOnto',
    (rebaseOnto) =>
      function forgetful(this: Draft, newer) {
        return rebaseOnto.call(this, newer, [])
      },
  ),
  mutant(
    "with isolation 'serializable' a key that was only read may change",
    'refused',
    Draft.prototype,
    'outdatedBy',
    () => () => [],
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
    'a session that has expired, or may have another ID, is reported as ended',
    'told',
    CommitRetry.prototype,
    'ended',
    () =>
      function hasty(this: CommitRetry, state) {
        return this.gone(state)
      },
  ),
  mutant(
    'a destroy that finds nothing is acknowledged, however old the request is',
    'told',
    CommitRetry.prototype,
    'refuseUncertainEnd',
    () => () => {},
  ),
  mutant(
    'regenerate does not read the tombstone',
    'ended',
    Destroyer.prototype,
    'isEnded',
    () => async () => false,
  ),
  mutant(
    'destroy puts no tombstone',
    'ended',
    GatedStore.prototype,
    'create',
    (create) =>
      async function careless(this: GatedStore, key, payload, expiresAt) {
        if (recordOf(payload).kind === 'tombstone') return 'exists'
        return create.call(this, key, payload, expiresAt)
      },
  ),
  mutant(
    'destroy does not compare, so that it destroys redirects alone',
    'ended',
    GatedStore.prototype,
    'destroy',
    (destroy) =>
      async function blind(this: GatedStore, key, _base, until) {
        return destroy.call(this, key, undefined, until)
      },
  ),
  mutant(
    'destroy reads what it knows already',
    'bounded',
    Destroyer.prototype,
    'end',
    (end) =>
      async function curious(this: Destroyer, key, _known, deadline, until) {
        return end.call(this, key, undefined, deadline, until)
      },
  ),
  mutant(
    'a regeneration leaves the redirect of a rotation',
    'fenced',
    Mover.prototype,
    'move',
    (move) =>
      async function lenient(this: Mover, state, nextId) {
        return move.call(this, state, nextId, 'open')
      },
  ),
  mutant(
    'a rotation leaves the redirect of a regeneration',
    'served',
    Mover.prototype,
    'move',
    (move) =>
      async function strict(this: Mover, state, nextId) {
        return move.call(this, state, nextId, 'commit')
      },
  ),
  mutant(
    'a regeneration leaves the old record as it was',
    'single',
    GatedStore.prototype,
    'replace',
    (replace) =>
      async function lazy(this: GatedStore, key, payload, expiresAt, base) {
        if (recordOf(payload).kind === 'redirect') return { entry: { payload, expiresAt } }
        return replace.call(this, key, payload, expiresAt, base)
      },
  ),
  mutant(
    'a request that began before a regeneration commits to the new record',
    'fenced',
    GatedStore.prototype,
    'read',
    (read) =>
      async function lenient(this: GatedStore, key, extendTo) {
        const entry = await read.call(this, key, extendTo)
        const redirect = entry === undefined ? undefined : redirectOf(entry.payload)
        if (entry === undefined || redirect?.mode !== 'commit' || doing() === 'destroy') return entry
        return { ...entry, payload: redirectPayload(0, { ...redirect, mode: 'open' }, defaultLimits) }
      },
  ),
  mutant(
    'only one redirect is followed',
    'told',
    GatedStore.prototype,
    'read',
    (read) =>
      async function shortSighted(this: GatedStore, key, extendTo) {
        const entry = await read.call(this, key, extendTo)
        const view = current.getStore()?.view
        if (entry === undefined || view === undefined || redirectOf(entry.payload) === undefined) return entry
        const known = hops.get(view)
        const count = known?.doing === view.doing ? known.count + 1 : 1
        hops.set(view, { doing: view.doing, count })
        return count > 1 ? undefined : entry
      },
  ),
  mutant(
    'a create without an answer is sent again',
    'ended',
    GatedStore.prototype,
    'create',
    (create) =>
      async function impatient(this: GatedStore, key, payload, expiresAt) {
        const write = async (): ReturnType<GatedStore['create']> => create.call(this, key, payload, expiresAt)
        return write().catch(write)
      },
  ),
  mutant(
    'an ID that the program has read is exchanged for another one',
    'told',
    StatePrototype,
    'idRead',
    () => () => {},
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

function doing(): string | undefined {
  return current.getStore()?.view?.doing
}
