import type { Store, Sweeping } from '../../../src/store.ts'

export const HOUR = 3_600_000
export const START = 1_700_000_000_000
export const OLD = 'kts1 aaaaaaaaaaaaaaaa old'
export const NEW: string = `kts1 bbbbbbbbbbbbbbbb new ${'x'.repeat(20_000)}`

/** Something that a store does, and the payloads under `a`, `b` and `c` that are found if it was stopped in the midst of it. */
export interface Act {
  readonly now: number
  prepare(store: Store): Promise<unknown>
  run(store: Store & Sweeping): Promise<unknown>
  readonly before: readonly (string | undefined)[]
  readonly after: readonly (string | undefined)[]
}

const LIFE = START + 24 * HOUR
const BASE = { payload: OLD, expiresAt: LIFE }

async function keep(store: Store): Promise<void> {
  await store.create('a', OLD, LIFE)
}

async function keepExpired(store: Store): Promise<void> {
  await store.create('a', OLD, START + HOUR)
  await store.create('b', OLD, LIFE)
}

export const acts: Readonly<Record<string, Act>> = {
  create: {
    now: START,
    prepare: async () => undefined,
    run: async (store) => store.create('a', NEW, LIFE),
    before: [undefined, undefined, undefined],
    after: [NEW, undefined, undefined],
  },
  'create over an expired one': {
    now: START + 2 * HOUR,
    prepare: keepExpired,
    run: async (store) => store.create('a', NEW, LIFE),
    before: [undefined, OLD, undefined],
    after: [NEW, OLD, undefined],
  },
  replace: {
    now: START,
    prepare: keep,
    run: async (store) => store.replace('a', NEW, LIFE, BASE),
    before: [OLD, undefined, undefined],
    after: [NEW, undefined, undefined],
  },
  touch: {
    now: START,
    prepare: keep,
    run: async (store) => store.touch('a', LIFE + HOUR),
    before: [OLD, undefined, undefined],
    after: [OLD, undefined, undefined],
  },
  destroy: {
    now: START,
    prepare: keep,
    run: async (store) => store.destroy('a', BASE),
    before: [OLD, undefined, undefined],
    after: [undefined, undefined, undefined],
  },
  sweep: {
    now: START + 2 * HOUR,
    prepare: keepExpired,
    run: async (store) => store.sweep(10),
    before: [undefined, OLD, undefined],
    after: [undefined, OLD, undefined],
  },
  'three at once': {
    now: START,
    prepare: async (store) => Promise.all(['a', 'b'].map(async (key) => store.create(key, OLD, LIFE))),
    run: async (store) =>
      Promise.all([store.replace('a', NEW, LIFE, BASE), store.destroy('b'), store.create('c', NEW, LIFE)]),
    before: [OLD, OLD, undefined],
    after: [NEW, undefined, NEW],
  },
}
