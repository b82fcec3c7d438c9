import type { Store } from '../../../src/store.ts'
import { HonestStore } from '../honest-store.ts'
import { broken, type Broken } from './broken.ts'

/** A life is extended too much or too little. */
export const touch: readonly Broken[] = [
  broken(
    'touch does nothing',
    'touch extends the life',
    class extends HonestStore {
      override async touch(key: string): ReturnType<Store['touch']> {
        return super.touch(key, 0)
      }
    },
  ),
  broken(
    'touch shortens a life',
    'touch never shortens the life, not even to a time in the past',
    class extends HonestStore {
      override async touch(key: string, at: number): ReturnType<Store['touch']> {
        await this.begin()
        const row = this.living(key)
        if (row === undefined) return 'gone'
        this.put(key, row.payload, at)
        return 'ok'
      }
    },
  ),
  broken(
    'the last of many touches counts',
    'of many touches at once the longest one counts',
    class extends HonestStore {
      override async touch(key: string, at: number): ReturnType<Store['touch']> {
        const row = await this.read(key)
        if (row === undefined) return 'gone'
        await this.begin()
        this.put(key, row.payload, Math.max(row.expiresAt, at))
        return 'ok'
      }
    },
  ),
  broken(
    'read returns an extended expiresAt, and has not extended it',
    'a read with extendTo extends the life, or returns an expiresAt that says it did not',
    class extends HonestStore {
      override async read(key: string, extendTo = 0): ReturnType<Store['read']> {
        const entry = await super.read(key)
        return entry && { ...entry, expiresAt: Math.max(entry.expiresAt, extendTo) }
      }
    },
  ),
  broken(
    'read sets expiresAt to extendTo even if that is earlier',
    'a read never shortens the life',
    class extends HonestStore {
      override async read(key: string, extendTo?: number): ReturnType<Store['read']> {
        const entry = await super.read(key)
        return entry && extendTo ? this.put(key, entry.payload, extendTo).entry : entry
      }
    },
  ),
  broken(
    'every read extends by an hour',
    'reading changes nothing',
    class extends HonestStore {
      override async read(key: string): ReturnType<Store['read']> {
        const entry = await super.read(key)
        return entry && this.put(key, entry.payload, entry.expiresAt + 3_600_000).entry
      }
    },
  ),
]
