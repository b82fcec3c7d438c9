import type { Entry, Store, Written } from '../../../src/store.ts'
import { HonestStore } from '../honest-store.ts'
import { broken, type Broken } from './broken.ts'

/** One key is taken for another. */
export const keyIsolation: readonly Broken[] = [
  broken(
    'keys are folded to lower case',
    'keys that differ only in case are different keys',
    class extends HonestStore {
      override living(key: string): Entry | undefined {
        return super.living(key.toLowerCase())
      }
      override put(key: string, payload: string, at: number): Written {
        return super.put(key.toLowerCase(), payload, at)
      }
    },
  ),
  broken(
    'keys are cut after 64 characters',
    'keys that begin alike are different keys',
    class extends HonestStore {
      override living(key: string): Entry | undefined {
        return super.living(key.slice(0, 64))
      }
      override put(key: string, payload: string, at: number): Written {
        return super.put(key.slice(0, 64), payload, at)
      }
    },
  ),
  broken(
    'keys of 128 characters are cut',
    'keys have 1 to 128 characters',
    class extends HonestStore {
      override living(key: string): Entry | undefined {
        return super.living(key.slice(0, 127))
      }
      override put(key: string, payload: string, at: number): Written {
        return super.put(key.slice(0, 127), payload, at)
      }
    },
  ),
  broken(
    'rows are properties of an object',
    'names that are special elsewhere are ordinary keys',
    class extends HonestStore {
      override living(key: string): Entry | undefined {
        return key in {} ? { payload: '', expiresAt: Infinity } : super.living(key)
      }
    },
  ),
  broken(
    'destroy removes all keys that begin alike',
    'keys that begin alike are different keys',
    class extends HonestStore {
      override async destroy(key: string, base?: Entry): ReturnType<Store['destroy']> {
        const outcome = await super.destroy(key, base)
        for (const other of this.backend.rows.keys()) {
          if (outcome === 'ok' && other.startsWith(key)) this.backend.rows.delete(other)
        }
        return outcome
      }
    },
  ),
  broken(
    'calls at once share one variable for the payload',
    '500 keys at once keep their own payloads',
    class extends HonestStore {
      #payload = ''
      override async create(key: string, payload: string, at: number): ReturnType<Store['create']> {
        this.#payload = payload
        await this.begin()
        return super.create(key, this.#payload, at)
      }
    },
  ),
]
