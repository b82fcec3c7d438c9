import type { Entry, Store, Written } from '../../../src/store.ts'
import { type Backend, HonestStore } from '../honest-store.ts'
import { broken, type Broken } from './broken.ts'

const DAY = 86_400_000

const seen: WeakSet<Backend> = new WeakSet()

/** Entries live too long or not long enough. */
export const expiry: readonly Broken[] = [
  broken(
    'an expired entry is found until it is swept',
    'an entry lives until its expiresAt and not longer',
    class extends HonestStore {
      override now(): number {
        return 0
      }
    },
  ),
  broken(
    'the store uses the clock of the process instead of the given one',
    'an entry lives until its expiresAt and not longer',
    class extends HonestStore {
      override now(): number {
        return 1_750_000_000_000
      }
    },
  ),
  broken(
    'one process has another clock than the other',
    "two stores on one backend see each other's changes",
    class extends HonestStore {
      readonly #skew = seen.has(this.backend) ? DAY : seen.add(this.backend) && 0
      override now(): number {
        return super.now() + this.#skew
      }
    },
  ),
  broken(
    'an entry expires a millisecond late',
    'expiry is exact to the resolution',
    class extends HonestStore {
      override now(): number {
        return super.now() - 1
      }
    },
  ),
  broken(
    'expiry is stored in whole seconds',
    'expiry is exact to the resolution',
    class extends HonestStore {
      override put(key: string, payload: string, at: number): Written {
        return super.put(key, payload, Math.floor((at - 1) / 1000) * 1000)
      }
    },
  ),
  broken(
    'create takes an expired row for a living one',
    'create over an expired entry makes a new entry with a new life',
    class extends HonestStore {
      override async create(key: string, payload: string, at: number): ReturnType<Store['create']> {
        await this.begin()
        return this.backend.rows.has(key) ? 'exists' : this.put(key, payload, at)
      }
    },
  ),
  broken(
    'touch revives an expired entry',
    'what has expired is absent for every verb',
    class extends HonestStore {
      override async touch(key: string, at: number): ReturnType<Store['touch']> {
        await this.begin()
        const row = this.backend.rows.get(key)
        if (row === undefined) return 'gone'
        this.put(key, row.payload, Math.max(row.expiresAt, at))
        return 'ok'
      }
    },
  ),
  broken(
    'replace revives an expired entry',
    'what has expired is absent for every verb',
    class extends HonestStore {
      override async replace(
        key: string,
        payload: string,
        at: number,
        base: Entry,
      ): ReturnType<Store['replace']> {
        await this.begin()
        const row = this.backend.rows.get(key)
        if (row === undefined) return 'gone'
        return this.same(row, base) ? this.put(key, payload, at) : 'conflict'
      }
    },
  ),
  broken(
    'an extending read revives an expired entry',
    'what has expired is absent for every verb',
    class extends HonestStore {
      override async read(key: string, extendTo?: number): ReturnType<Store['read']> {
        const row = this.backend.rows.get(key)
        if (row !== undefined && extendTo !== undefined) this.put(key, row.payload, extendTo)
        return super.read(key, extendTo)
      }
    },
  ),
  broken(
    'lives are stored in 31 bits of milliseconds',
    'an entry may live for 31 days',
    class extends HonestStore {
      override put(key: string, payload: string, at: number): Written {
        return super.put(key, payload, this.now() + ((at - this.now()) | 0))
      }
    },
  ),
  broken(
    'a life of more than 30 days is taken for seconds since 1970',
    'an entry may live for 31 days',
    class extends HonestStore {
      override put(key: string, payload: string, at: number): Written {
        const life = at - this.now()
        return super.put(key, payload, life > 30 * DAY ? life : at)
      }
    },
  ),
  broken(
    'no life is longer than a year',
    'an entry may live for 10 years',
    class extends HonestStore {
      override put(key: string, payload: string, at: number): Written {
        return super.put(key, payload, Math.min(at, this.now() + 365 * DAY))
      }
    },
  ),
  broken(
    'an expiresAt in the past means forever',
    'a create with an expiresAt in the past is applied, and the entry is absent',
    class extends HonestStore {
      override put(key: string, payload: string, at: number): Written {
        return super.put(key, payload, at > this.now() ? at : Infinity)
      }
    },
  ),
  broken(
    'replace with an expiresAt in the past changes nothing',
    'a replace with an expiresAt in the past is applied, and ends the entry',
    class extends HonestStore {
      override async replace(
        key: string,
        payload: string,
        at: number,
        base: Entry,
      ): ReturnType<Store['replace']> {
        return at > this.now() ? super.replace(key, payload, at, base) : { entry: { payload, expiresAt: at } }
      }
    },
  ),
  broken(
    'replace never shortens a life',
    'replace may shorten the life',
    class extends HonestStore {
      override put(key: string, payload: string, at: number): Written {
        return super.put(key, payload, Math.max(at, this.living(key)?.expiresAt ?? 0))
      }
    },
  ),
  broken(
    'replace keeps the old life',
    'replace may lengthen the life',
    class extends HonestStore {
      override async replace(
        key: string,
        payload: string,
        at: number,
        base: Entry,
      ): ReturnType<Store['replace']> {
        return super.replace(key, payload, Math.min(at, base.expiresAt), base)
      }
    },
  ),
  broken(
    'one expired entry removes all others',
    'the expiry of one entry leaves other entries alone',
    class extends HonestStore {
      override living(key: string): Entry | undefined {
        const row = super.living(key)
        if (row === undefined && this.backend.rows.has(key)) this.backend.rows.clear()
        return row
      }
    },
  ),
]
