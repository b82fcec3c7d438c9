import type { Entry, Store } from '../../../src/store.ts'
import type { Invariant } from '../../../src/testing/simulation/violations.ts'
import { type Backend, HonestStore } from '../honest-store.ts'

/** A store with one fault, and the invariant that this violates. */
export interface Unsound {
  readonly fault: string
  readonly invariant: Invariant
  readonly open: (backend: Backend) => Store
}

type Replace = ReturnType<Store['replace']>
type Destroy = ReturnType<Store['destroy']>

function unsound(
  fault: string,
  invariant: Invariant,
  Faulty: new (backend: Backend) => HonestStore,
): Unsound {
  return { fault, invariant, open: (backend) => new Faulty(backend) }
}

/** Faults of stores, and what they do to sessions. */
export const sessions: readonly Unsound[] = [
  unsound(
    'replace ignores its base',
    'preserved',
    class extends HonestStore {
      override same(): boolean {
        return true
      }
    },
  ),
  unsound(
    'replace ignores its base, so that two requests claim one token',
    'claimed',
    class extends HonestStore {
      override async replace(key: string, payload: string, at: number): Replace {
        await this.begin()
        return this.living(key) === undefined ? 'gone' : this.put(key, payload, at)
      }
    },
  ),
  unsound(
    'replace creates what was destroyed',
    'ended',
    class extends HonestStore {
      override async replace(key: string, payload: string, at: number, base: Entry): Replace {
        const outcome = await super.replace(key, payload, at, base)
        return outcome === 'gone' ? this.put(key, payload, at) : outcome
      }
    },
  ),
  unsound(
    'replace reads first and writes later',
    'counted',
    class extends HonestStore {
      override async replace(key: string, payload: string, at: number, base: Entry): Replace {
        await this.begin()
        const row = this.living(key)
        if (row === undefined) return 'gone'
        if (!this.same(row, base)) return 'conflict'
        await this.backend.trip()
        return this.put(key, payload, at)
      }
    },
  ),
  unsound(
    'replace answers conflict, and has written nevertheless',
    'counted',
    class extends HonestStore {
      #calls = 0
      override async replace(key: string, payload: string, at: number, base: Entry): Replace {
        const outcome = await super.replace(key, payload, at, base)
        this.#calls += 1
        return this.#calls % 5 === 0 && typeof outcome === 'object' ? 'conflict' : outcome
      }
    },
  ),
  unsound(
    'replace answers that it has written, and has not',
    'preserved',
    class extends HonestStore {
      #calls = 0
      override async replace(key: string, payload: string, at: number, base: Entry): Replace {
        this.#calls += 1
        if (this.#calls % 5 > 0 || this.living(key) === undefined)
          return super.replace(key, payload, at, base)
        return { entry: { payload, expiresAt: at } }
      }
    },
  ),
  unsound(
    'a conflict is reported as gone',
    'told',
    class extends HonestStore {
      override async replace(key: string, payload: string, at: number, base: Entry): Replace {
        const outcome = await super.replace(key, payload, at, base)
        return outcome === 'conflict' ? 'gone' : outcome
      }
    },
  ),
  unsound(
    'replace always answers conflict',
    'served',
    class extends HonestStore {
      override same(): boolean {
        return false
      }
    },
  ),
  unsound(
    'touch of an absent key answers ok',
    'modelled',
    class extends HonestStore {
      override async read(key: string): ReturnType<Store['read']> {
        return super.read(key)
      }
      override async touch(key: string, at: number): ReturnType<Store['touch']> {
        const outcome = await super.touch(key, at)
        return outcome === 'gone' ? 'ok' : outcome
      }
    },
  ),
  unsound(
    'replace writes to an expired entry',
    'ended',
    class extends HonestStore {
      override async replace(key: string, payload: string, at: number, base: Entry): Replace {
        await this.begin()
        const row = this.backend.rows.get(key)
        if (row === undefined) return 'gone'
        return this.same(row, base) ? this.put(key, payload, at) : 'conflict'
      }
    },
  ),
  unsound(
    'an expired entry is found',
    'ended',
    class extends HonestStore {
      override async read(key: string): ReturnType<Store['read']> {
        await this.begin()
        return this.backend.rows.get(key)
      }
    },
  ),
  unsound(
    'touch brings back what was destroyed',
    'ended',
    class extends HonestStore {
      readonly #seen = new Map<string, string>()
      override async read(key: string): ReturnType<Store['read']> {
        const entry = await super.read(key)
        if (entry !== undefined) this.#seen.set(key, entry.payload)
        return entry
      }
      override async touch(key: string, at: number): ReturnType<Store['touch']> {
        await this.begin()
        const text = this.#seen.get(key)
        if (text === undefined) return 'gone'
        this.put(key, text, at)
        return 'ok'
      }
    },
  ),
  unsound(
    'destroy ignores its base, so that it destroys what another request has just written',
    'preserved',
    class extends HonestStore {
      override async destroy(key: string): Destroy {
        return super.destroy(key)
      }
    },
  ),
  unsound(
    'destroy answers ok, and has done nothing',
    'ended',
    class extends HonestStore {
      override async destroy(key: string, base?: Entry): Destroy {
        await this.begin()
        const row = this.living(key)
        if (row === undefined) return 'gone'
        return base !== undefined && !this.same(row, base) ? 'conflict' : 'ok'
      }
    },
  ),
  unsound(
    'destroy with a base answers ok for what another request has ended',
    'modelled',
    class extends HonestStore {
      override async destroy(key: string, base?: Entry): Destroy {
        const outcome = await super.destroy(key, base)
        return base !== undefined && outcome === 'gone' ? 'ok' : outcome
      }
    },
  ),
  unsound(
    'reads are answered by a replica that lags behind',
    'ended',
    class extends HonestStore {
      readonly #old = new Map<string, Entry>()
      override async read(key: string, extendTo?: number): ReturnType<Store['read']> {
        const entry = await super.read(key, extendTo)
        const old = this.#old.get(key)
        if (entry === undefined) this.#old.delete(key)
        else this.#old.set(key, entry)
        return entry ?? old
      }
    },
  ),
]
