export type { StoreHarness, StorePromise } from './harness.ts'
export { storeContract } from './store-contract.ts'
export { interleavings } from './walks/interleavings.ts'
export { walks, type WalkOptions } from './walks/walks.ts'
