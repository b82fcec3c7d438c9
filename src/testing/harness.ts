import type { Store } from '../store.ts'

/** What a test suite provides: stores to test, a clock that can be advanced and, if possible, a way to make the backend fail. */
export interface StoreHarness {
  /**
   * Opens a store. All stores of one harness have the same backend: with a `shared` trait two stores stand for two processes.
   * The contract closes what it opens.
   */
  open(): Store | Promise<Store>

  /** The clock by which entries expire, in ms since the epoch. */
  now(): number

  /**
   * Lets `ms` pass for the stores and their backend: advances a fake clock, or makes every stored entry older by `ms`. The
   * result of `now` need not change.
   */
  advance(ms: number): void | Promise<void>

  /** True if time passes by `advance` alone. Expiry is then checked to the millisecond. Default false. */
  readonly still?: boolean

  /** True if the stores are `Sweeping`. A requirement checks that harness and store agree. Default false. */
  readonly sweeps?: boolean

  /** True if the stores are `Counting`. Checked like `sweeps`. Default false. */
  readonly counts?: boolean

  /** Makes the backend fail until `mend`, also for stores that are open. Without both, failures are not tested. */
  break?(): void | Promise<void>

  /** Repairs the backend. Everything that was stored before `break` is there again. */
  mend?(): void | Promise<void>

  /**
   * Makes the backend refuse to store anything until `admit`, as a full or read-only one does: it still answers, and can be read.
   * Without both, refusals are not tested.
   */
  refuse?(): void | Promise<void>

  /** Ends what `refuse` began. Everything that was stored before is there. */
  admit?(): void | Promise<void>
}
