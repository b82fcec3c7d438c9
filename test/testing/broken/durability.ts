import type { Entry, Store, StoreTraits, Written } from '../../../src/store.ts'
import { Backend, HonestStore } from '../honest-store.ts'
import { broken, type Broken } from './broken.ts'

/** Processes do not see each other's changes, entries do not outlive a process, or close goes wrong. */
export const durability: readonly Broken[] = [
  broken(
    'a process caches what it read',
    "two stores on one backend see each other's changes",
    class extends HonestStore {
      readonly #cache = new Map<string, Entry>()
      override async read(key: string): ReturnType<Store['read']> {
        const entry = this.#cache.get(key) ?? (await super.read(key))
        if (entry) this.#cache.set(key, entry)
        return entry
      }
    },
  ),
  broken(
    'each process has another backend',
    "two stores on one backend see each other's changes",
    class extends HonestStore {
      constructor({ time }: Backend) {
        super(Object.assign(new Backend(), { time }))
      }
    },
  ),
  broken(
    'a token is valid in one process only',
    'a base from one store is valid in another',
    class extends HonestStore {
      readonly #made = new WeakSet<Entry>()
      override put(key: string, payload: string, at: number): Written {
        const written = super.put(key, payload, at)
        this.#made.add(written.entry)
        return written
      }
      override same(row: Entry, base: Entry): boolean {
        return this.#made.has(base) && super.same(row, base)
      }
    },
  ),
  broken(
    'close empties the backend',
    'an entry is still there after close and open',
    class extends HonestStore {
      override async close(): Promise<void> {
        await super.close()
        this.backend.rows.clear()
      }
    },
  ),
  broken(
    'close closes the connection of every store',
    'closing one store does not close another',
    class extends HonestStore {
      override async close(): Promise<void> {
        await super.close()
        this.backend.broken = true
      }
    },
  ),
  broken(
    'a second close rejects',
    'close may be called again, also at the same time',
    class extends HonestStore {
      override async close(): Promise<void> {
        await this.begin()
        this.closed = true
      }
    },
  ),
  broken(
    'close fails if nothing was opened',
    'a store that was never used can be closed',
    class extends HonestStore {
      #used = false
      override async begin(): Promise<void> {
        this.#used = true
        await super.begin()
      }
      override async close(): Promise<void> {
        if (!this.#used) throw new TypeError('client is undefined')
        await super.close()
      }
    },
  ),
  broken(
    'a closed store keeps working',
    'after close every verb rejects',
    class extends HonestStore {
      override async close(): Promise<void> {}
    },
  ),
  broken(
    'opening twice connects twice, and the second one to an empty backend',
    'a store connects by itself, and open may be called again',
    class extends HonestStore {
      async open(): Promise<void> {
        this.backend.rows.clear()
      }
    },
  ),
  broken(
    'the traits are impossible',
    'the traits are valid, and the harness agrees with the store',
    class extends HonestStore {
      override get traits(): StoreTraits {
        return { ...super.traits, resolution: 0 }
      }
    },
  ),
]
