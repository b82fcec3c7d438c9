import { tracingChannel, type TracingChannel } from 'node:diagnostics_channel'
import type { BreakerState } from './backend/circuit-breaker.ts'

/** Which manager an event or an operation belongs to, and how its store is at the moment. */
export interface ManagerStatus {
  /** The option `name`: for the middleware the name of its cookie, or of its header. */
  readonly name: string
  /** The store's name: `'redis'`. */
  readonly store: string
  /** How many calls wait for the store now. */
  readonly pending: number
  /** `open` while calls are refused after several failures in a row. */
  readonly breaker: BreakerState
}

/**
 * What subscribers of the channels `tracing:koa-typed-session:open`, `…:commit` and `…:destroy` are told of one operation, in
 * the same object from its start to its end. It holds no ID, no key and no value.
 */
export interface TracedOperation {
  readonly manager: ManagerStatus
  /** When it began, by `performance.now()`. */
  readonly startedAt: number
  /** The public name of the session, once it is known: see {@link Session.handle}. */
  handle: string | undefined
  /** The length of the payload that was read or stored, once it is known. */
  bytes: number | undefined
  /** How often the commit was tried, where it has stored something. */
  tries: number | undefined
  /**
   * What it came to: an opening has `found` the session, or it is `unknown`; a commit has `created` a session, `stored` changes,
   * `extended` the life of the session, `ended` it with its last value, or found it `gone`; and a destroy has `ended` it, or found it
   * `gone`. It is `undefined` where the operation failed.
   */
  outcome: 'found' | 'unknown' | 'created' | 'stored' | 'extended' | 'ended' | 'gone' | undefined
  /** What it failed with. */
  error: unknown
}

/** A channel of one kind of operation. */
export type OperationChannel = TracingChannel<unknown, TracedOperation>

/** The channels of `node:diagnostics_channel`, by the operation. */
export const traces: {
  readonly open: OperationChannel
  readonly commit: OperationChannel
  readonly destroy: OperationChannel
} = {
  open: tracingChannel('koa-typed-session:open'),
  commit: tracingChannel('koa-typed-session:commit'),
  destroy: tracingChannel('koa-typed-session:destroy'),
}

/** An operation of `manager` that begins now. All have the same hidden class. */
export function tracedOperation(manager: ManagerStatus, handle?: string): TracedOperation {
  return {
    manager,
    startedAt: performance.now(),
    handle,
    bytes: undefined,
    tries: undefined,
    outcome: undefined,
    error: undefined,
  }
}
