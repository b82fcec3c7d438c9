import { VERSION_LENGTH, type Entry, type Store, type Written } from '../../../src/store.ts'
import { HonestStore } from '../honest-store.ts'
import { broken, type Broken } from './broken.ts'

/** Versions are compared wrongly. */
export const compareAndSwap: readonly Broken[] = [
  broken(
    'replace does not compare versions',
    'replace from an older base is a conflict and changes nothing',
    class extends HonestStore {
      override same(): boolean {
        return true
      }
    },
  ),
  broken(
    'destroy does not compare versions',
    'destroy with an older base is a conflict and changes nothing',
    class extends HonestStore {
      override async destroy(key: string): ReturnType<Store['destroy']> {
        return super.destroy(key)
      }
    },
  ),
  broken(
    'versions are compared without regard to case',
    'a version is compared in full, to the last character and its case',
    class extends HonestStore {
      override same(row: Entry, base: Entry): boolean {
        const [kept, given] = [row, base].map(({ payload }) => payload.slice(0, VERSION_LENGTH).toLowerCase())
        return kept === given
      }
    },
  ),
  broken(
    'versions are compared without their last character',
    'a version is compared in full, to the last character and its case',
    class extends HonestStore {
      override same(row: Entry, base: Entry): boolean {
        return row.payload.startsWith(base.payload.slice(0, VERSION_LENGTH - 1))
      }
    },
  ),
  broken(
    'payloads are compared without their version',
    'payloads that differ in nothing but the version are different',
    class extends HonestStore {
      override same(row: Entry, base: Entry): boolean {
        return row.payload.slice(VERSION_LENGTH) === base.payload.slice(VERSION_LENGTH)
      }
    },
  ),
  broken(
    'touch makes a new version',
    'touch leaves payload and version alone',
    class extends HonestStore {
      override same(row: Entry, base: Entry): boolean {
        return super.same(row, base) && row.expiresAt === base.expiresAt
      }
    },
  ),
  broken(
    'an extending read makes a new version',
    'a read that extends the life causes no conflict',
    class extends HonestStore {
      override same(row: Entry, base: Entry): boolean {
        return super.same(row, base) && row.expiresAt === base.expiresAt
      }
    },
  ),
  broken(
    'the token is a revision that starts again at 1 for each row',
    'an old base stays old after destroy and create under the same key',
    class extends HonestStore {
      override put(key: string, payload: string, at: number): Written {
        const before = this.living(key)
        const token = before === undefined ? 1 : Number(before.token) + (before.payload === payload ? 0 : 1)
        const entry = { payload, expiresAt: at, token }
        this.backend.rows.set(key, entry)
        return { entry: { ...entry } }
      }
      override same(row: Entry, base: Entry): boolean {
        return row.token === (base.token ?? 1)
      }
    },
  ),
  broken(
    'an entry from a write lacks the token that one from read has',
    'an entry from a write is a valid base of the next write',
    class extends HonestStore {
      override async read(key: string): ReturnType<Store['read']> {
        const entry = await super.read(key)
        return entry && { ...entry, token: 'token' }
      }
      override same(row: Entry, base: Entry): boolean {
        return base.token === 'token' && super.same(row, base)
      }
    },
  ),
  broken(
    'an entry from read lacks the token that one from a write has',
    'an entry from read is a valid base of a replace',
    class extends HonestStore {
      override put(key: string, payload: string, at: number): Written {
        const { entry } = super.put(key, payload, at)
        return { entry: { ...entry, token: 'token' } }
      }
      override async read(key: string): ReturnType<Store['read']> {
        await this.begin()
        const row = this.living(key)
        return row && { ...row }
      }
      override same(row: Entry, base: Entry): boolean {
        return base.token === 'token' && super.same(row, base)
      }
    },
  ),
  broken(
    'touch makes a new version, which destroy compares',
    'a touch between read and destroy causes no conflict',
    class extends HonestStore {
      override same(row: Entry, base: Entry): boolean {
        return super.same(row, base) && row.expiresAt === base.expiresAt
      }
    },
  ),
  broken(
    'destroy with a base is always a conflict',
    'destroy with the present base ends the entry',
    class extends HonestStore {
      override async destroy(key: string, base?: Entry): ReturnType<Store['destroy']> {
        return base === undefined ? super.destroy(key) : 'conflict'
      }
    },
  ),
  broken(
    'destroy without a base compares with what this process read last',
    'destroy without a base ends the entry, whatever its version',
    class extends HonestStore {
      #last: Entry | undefined
      override async create(key: string, payload: string, at: number): ReturnType<Store['create']> {
        this.#last = { payload, expiresAt: at }
        return super.create(key, payload, at)
      }
      override async destroy(key: string, base?: Entry): ReturnType<Store['destroy']> {
        return super.destroy(key, base ?? this.#last)
      }
    },
  ),
]
