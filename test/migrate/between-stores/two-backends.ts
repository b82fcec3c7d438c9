import { migrate } from '../../../src/migrate/index.ts'
import type { Entry, Store, StoreTraits, Written } from '../../../src/store.ts'
import type { StoreHarness } from '../../../src/testing/index.ts'
import { Backend, HonestStore } from '../../testing/honest-store.ts'

/** The steps of a change: the old store alone, both and the old one leads, both and the new one leads, the new one alone. */
export type Step = 0 | 1 | 2 | 3

/** The end of a change that is under way, and of one that is over. */
export const UNTIL: Date = new Date('2100-01-01')
export const OVER: Date = new Date('2001-01-01')

/** The backends of the old store and the new one, with one clock. */
export class TwoBackends {
  readonly old: Backend = new Backend()
  readonly next: Backend = new Backend()

  get both(): readonly [Backend, Backend] {
    return [this.old, this.next]
  }

  readonly now = (): number => this.old.time

  /** The store of a process at a step, made of stores that `open` makes. */
  storeAt(
    step: Step,
    until: Date = UNTIL,
    open: (backend: Backend) => Store = (backend) => new HonestStore(backend),
  ): Store {
    const [old, next] = [open(this.old), open(this.next)]
    const { now } = this
    if (step === 0) return old
    if (step === 1) return migrate({ to: old, from: next, until, now })
    if (step === 2) return migrate({ to: next, from: old, until, now })
    return next
  }
}

/** Stores of processes that are at these steps, by turns. Step 3 comes after the end of the change. */
export function stepsHarness(steps: readonly Step[]): StoreHarness {
  const backends = new TwoBackends()
  const until = steps.includes(3) ? OVER : UNTIL
  const all = (change: (backend: Backend) => void): void => backends.both.forEach(change)
  let opened = 0
  return {
    open: () => {
      opened += 1
      return backends.storeAt(steps[opened % steps.length] ?? 1, until)
    },
    now: backends.now,
    advance: (ms) => all((each) => (each.time += ms)),
    still: true,
    sweeps: true,
    counts: true,
    break: () => all((each) => (each.broken = true)),
    mend: () => all((each) => (each.broken = false)),
    refuse: () => all((each) => (each.full = true)),
    admit: () => all((each) => (each.full = false)),
  }
}

/** One store that sends its calls to several processes by turns. */
export class ByTurns implements Store {
  readonly #stores: readonly Store[]
  #calls = 0

  constructor(stores: readonly Store[]) {
    this.#stores = stores
  }

  get traits(): StoreTraits {
    return this.#next.traits
  }

  async read(key: string, extendTo?: number): Promise<Entry | undefined> {
    return this.#next.read(key, extendTo)
  }

  async create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    return this.#next.create(key, payload, expiresAt)
  }

  async replace(
    key: string,
    payload: string,
    expiresAt: number,
    base: Entry,
  ): Promise<Written | 'conflict' | 'gone'> {
    return this.#next.replace(key, payload, expiresAt, base)
  }

  async touch(key: string, expiresAt: number): Promise<'ok' | 'gone'> {
    return this.#next.touch(key, expiresAt)
  }

  async destroy(key: string, base?: Entry): Promise<'ok' | 'conflict' | 'gone'> {
    return this.#next.destroy(key, base)
  }

  async close(): Promise<void> {
    await Promise.all(this.#stores.map(async (store) => store.close()))
  }

  get #next(): Store {
    this.#calls += 1
    const next = this.#stores[this.#calls % this.#stores.length]
    if (next === undefined) throw new Error('there are no stores')
    return next
  }
}
