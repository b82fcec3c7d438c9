export type { StoreHarness, StoreRequirement } from './harness.ts'
export { storeContract } from './store-contract.ts'
export { interleavings } from './simulation/interleavings.ts'
export { randomWalks, type RandomWalkOptions } from './simulation/random-walks.ts'
