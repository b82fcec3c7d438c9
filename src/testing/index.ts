export type { StoreHarness, StorePromise } from './harness.ts'
export { storeContract } from './store-contract.ts'
