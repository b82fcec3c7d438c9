import type { Store } from '../../../src/store.ts'
import type { Backend, HonestStore } from '../honest-store.ts'

/** A store with one fault, and the promise that finds it. */
export interface Broken {
  readonly fault: string
  readonly promise: string
  readonly open: (backend: Backend) => Store
}

export function broken(
  fault: string,
  promise: string,
  Faulty: new (backend: Backend) => HonestStore,
): Broken {
  return { fault, promise, open: (backend) => new Faulty(backend) }
}
