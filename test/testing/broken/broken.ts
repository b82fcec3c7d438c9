import type { Store } from '../../../src/store.ts'
import type { Backend, HonestStore } from '../honest-store.ts'

/** A store with one fault, and the requirement that finds it. */
export interface Broken {
  readonly fault: string
  readonly requirement: string
  readonly open: (backend: Backend) => Store
}

export function broken(
  fault: string,
  requirement: string,
  Faulty: new (backend: Backend) => HonestStore,
): Broken {
  return { fault, requirement, open: (backend) => new Faulty(backend) }
}
