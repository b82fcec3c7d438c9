import type { Store, StoreTraits } from '../store.ts'

/** What a test suite lends to the contract: stores to try, a clock to turn and, where it can, a way to break things. */
export interface StoreHarness {
  /**
   * A store on the same backend as every other store this harness opened: two calls are two processes, as far as the
   * store's traits go. The contract closes what it opens.
   */
  open(): Store | Promise<Store>

  /** The time by which entries live and die here, in ms since the epoch. */
  now(): number

  /**
   * Lets `ms` pass for the stores and their backend: turns a fake clock, or makes every stored entry older by as much.
   * It need not change what `now` says.
   */
  advance(ms: number): void | Promise<void>

  /** True if time passes by `advance` alone. Then the moment of death is looked at to the millisecond. */
  readonly still?: boolean

  /** True if the stores are `Sweeping`. One requirement checks that harness and store agree, so it cannot be forgotten. */
  readonly sweeps?: boolean

  /** True if the stores are `Counting`. Checked like `sweeps`. */
  readonly counts?: boolean

  /** Makes the backend fail until `mend`, for the stores that are open too. Without both, nothing is said about trouble. */
  break?(): void | Promise<void>

  /** Ends what `break` began; everything that was stored before is there again. */
  mend?(): void | Promise<void>
}

/** One requirement of the contract. */
export interface StoreRequirement {
  /** A sentence about behaviour, good as the title of a test. */
  readonly title: string

  /** Whether a store with these traits makes this requirement, and this harness can look at it. */
  readonly appliesTo: (traits: StoreTraits, harness: StoreHarness) => boolean

  /**
   * Resolves if the requirement holds and rejects if not, with an `AssertionError` or with whatever the store threw. A requirement
   * that does not apply rejects as well, so that nothing is taken for checked that was not.
   *
   * Turning the clock would disturb its neighbours, so checks on the same harness wait for each other.
   */
  readonly check: (harness: StoreHarness) => Promise<void>
}
