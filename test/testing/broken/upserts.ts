import type { Entry, Store, Written } from '../../../src/store.ts'
import { HonestStore } from '../honest-store.ts'
import { broken, type Broken } from './broken.ts'

/** A verb other than create makes an entry exist, or create overwrites one. */
export const upserts: readonly Broken[] = [
  broken(
    'replace creates an entry',
    'replace of nothing is gone and creates nothing',
    class extends HonestStore {
      override async replace(
        key: string,
        payload: string,
        at: number,
        base: Entry,
      ): ReturnType<Store['replace']> {
        const outcome = await super.replace(key, payload, at, base)
        return outcome === 'gone' ? this.put(key, payload, at) : outcome
      }
    },
  ),
  broken(
    'create overwrites an entry',
    'create of an existing key answers exists and changes nothing',
    class extends HonestStore {
      override async create(key: string, payload: string, at: number): ReturnType<Store['create']> {
        await this.begin()
        return this.put(key, payload, at)
      }
    },
  ),
  broken(
    'touch writes back what it read earlier',
    'after touch and destroy at once the entry is gone',
    class extends HonestStore {
      override async touch(key: string, at: number): ReturnType<Store['touch']> {
        const entry = await this.read(key)
        if (entry === undefined) return 'gone'
        await this.begin()
        this.put(key, entry.payload, Math.max(at, entry.expiresAt))
        return 'ok'
      }
    },
  ),
  broken(
    'touch writes back what it read over a newer payload',
    'of replace and touch at once, both are applied',
    class extends HonestStore {
      override async touch(key: string, at: number): ReturnType<Store['touch']> {
        const entry = await this.read(key)
        if (entry === undefined) return 'gone'
        await this.begin()
        if (this.living(key)) this.put(key, entry.payload, Math.max(at, entry.expiresAt))
        return 'ok'
      }
    },
  ),
  broken(
    'touch makes an empty row for an absent key',
    'touch of nothing is gone and creates nothing',
    class extends HonestStore {
      override async touch(key: string, at: number): ReturnType<Store['touch']> {
        const outcome = await super.touch(key, at)
        if (outcome === 'gone') this.put(key, '', at)
        return outcome
      }
    },
  ),
  broken(
    'an extending read writes back what it read earlier',
    'after an extending read and destroy at once the entry is gone',
    class extends HonestStore {
      override async read(key: string, extendTo = 0): ReturnType<Store['read']> {
        const entry = await super.read(key)
        if (entry === undefined || extendTo <= entry.expiresAt) return entry
        await this.begin()
        return this.put(key, entry.payload, extendTo).entry
      }
    },
  ),
  broken(
    'touch brings back a destroyed entry',
    'after destroy no verb brings the entry back',
    class extends HonestStore {
      readonly #remembered = new Map<string, string>()
      override put(key: string, payload: string, at: number): Written {
        this.#remembered.set(key, payload)
        return super.put(key, payload, at)
      }
      override async touch(key: string, at: number): ReturnType<Store['touch']> {
        const outcome = await super.touch(key, at)
        const payload = this.#remembered.get(key)
        if (outcome === 'gone' && payload !== undefined) this.put(key, payload, at)
        return outcome
      }
    },
  ),
  broken(
    'a replace from another process inserts what it does not find',
    'late writes after another process has destroyed the entry answer gone',
    class extends HonestStore {
      override async replace(
        key: string,
        payload: string,
        at: number,
        base: Entry,
      ): ReturnType<Store['replace']> {
        const outcome = await super.replace(key, payload, at, base)
        return outcome === 'gone' ? this.put(key, payload, at) : outcome
      }
    },
  ),
  broken(
    'replace writes although the entry was destroyed in between',
    'after replace and destroy at once the entry is gone',
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
    'read makes an empty row',
    'a key that was never created is absent, and reading does not create it',
    class extends HonestStore {
      override async read(key: string, extendTo?: number): ReturnType<Store['read']> {
        const entry = await super.read(key, extendTo)
        if (entry === undefined && extendTo !== undefined) this.put(key, '', extendTo)
        return entry
      }
    },
  ),
]
