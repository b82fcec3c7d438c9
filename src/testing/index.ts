export type { StoreHarness, StorePromise } from './harness.ts'
export { storeContract } from './store-contract.ts'
export { interleavings } from './simulation/interleavings.ts'
export { walks, type WalkOptions } from './simulation/random-walks.ts'
