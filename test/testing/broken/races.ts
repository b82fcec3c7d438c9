import type { Entry, Store } from '../../../src/store.ts'
import { HonestStore } from '../honest-store.ts'
import { broken, type Broken } from './broken.ts'

/** A verb is not atomic: another call gets in between its read and its write. */
export const races: readonly Broken[] = [
  broken(
    'replace reads first and writes later',
    'of many replaces from one base one is applied, and the rest are conflicts',
    class extends HonestStore {
      override async replace(
        key: string,
        payload: string,
        at: number,
        base: Entry,
      ): ReturnType<Store['replace']> {
        const row = await this.read(key)
        if (row === undefined) return 'gone'
        if (!this.same(row, base)) return 'conflict'
        await this.begin()
        return this.put(key, payload, at)
      }
    },
  ),
  broken(
    'each process has its own lock',
    'of the increments of many workers none is lost',
    class extends HonestStore {
      override async replace(
        key: string,
        payload: string,
        at: number,
        base: Entry,
      ): ReturnType<Store['replace']> {
        const row = this.living(key)
        await this.begin()
        if (row === undefined) return 'gone'
        return this.same(row, base) ? this.put(key, payload, at) : 'conflict'
      }
    },
  ),
  broken(
    'create reads first and writes later',
    'of many creates at once one is applied, and the rest answer exists',
    class extends HonestStore {
      override async create(key: string, payload: string, at: number): ReturnType<Store['create']> {
        if ((await this.read(key)) !== undefined) return 'exists'
        await this.begin()
        return this.put(key, payload, at)
      }
    },
  ),
  broken(
    'create removes an expired row first and then inserts',
    'of many creates at once over an expired entry one is applied',
    class extends HonestStore {
      override async create(key: string, payload: string, at: number): ReturnType<Store['create']> {
        await this.begin()
        const row = this.backend.rows.get(key)
        if (row === undefined) return this.put(key, payload, at)
        if (row.expiresAt > this.now()) return 'exists'
        await this.begin()
        return this.put(key, payload, at)
      }
    },
  ),
  broken(
    'read removes by key what it read as expired',
    'a verb that finds an expired entry does not remove one created at the same time',
    class extends HonestStore {
      override async read(key: string, extendTo = 0): ReturnType<Store['read']> {
        const entry = await super.read(key, extendTo)
        if (entry === undefined) {
          await this.begin()
          this.backend.rows.delete(key)
        }
        return entry
      }
    },
  ),
  broken(
    'replace is a delete and an insert',
    'a read during a replace sees the old payload or the new one',
    class extends HonestStore {
      override async replace(
        key: string,
        payload: string,
        at: number,
        base: Entry,
      ): ReturnType<Store['replace']> {
        const outcome = await super.destroy(key, base)
        if (outcome !== 'ok') return outcome
        await this.begin()
        return this.put(key, payload, at)
      }
    },
  ),
  broken(
    'destroy with a base reads first and deletes later',
    'of replace and destroy at once with one base, one is applied',
    class extends HonestStore {
      override async destroy(key: string, base?: Entry): ReturnType<Store['destroy']> {
        const row = await this.read(key)
        if (row === undefined) return 'gone'
        if (base !== undefined && !this.same(row, base)) return 'conflict'
        await this.begin()
        this.backend.rows.delete(key)
        return 'ok'
      }
    },
  ),
  broken(
    'destroy reads first, so that several calls answer ok',
    'of many destroys at once one answers ok, and the rest gone',
    class extends HonestStore {
      override async destroy(key: string): ReturnType<Store['destroy']> {
        if ((await this.read(key)) === undefined) return 'gone'
        await this.begin()
        this.backend.rows.delete(key)
        return 'ok'
      }
    },
  ),
  broken(
    'create reads first, and overwrites what was created since',
    'after create and destroy at once the answers tell what is stored',
    class extends HonestStore {
      override async create(key: string, payload: string, at: number): ReturnType<Store['create']> {
        await this.begin()
        const before = this.living(key)
        await this.begin()
        this.put(key, payload, at)
        return before === undefined ? { entry: { payload, expiresAt: at } } : 'exists'
      }
    },
  ),
]
