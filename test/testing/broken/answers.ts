import type { Entry, Store, Written } from '../../../src/store.ts'
import { HonestStore } from '../honest-store.ts'
import { broken, type Broken } from './broken.ts'

/** The answer is not what happened. */
export const answers: readonly Broken[] = [
  broken(
    'destroy of nothing is ok',
    'destroy of nothing is gone, with a base and without',
    class extends HonestStore {
      override async destroy(key: string, base?: Entry): ReturnType<Store['destroy']> {
        const outcome = await super.destroy(key, base)
        return outcome === 'gone' ? 'ok' : outcome
      }
    },
  ),
  broken(
    'touch of nothing is ok',
    'touch of nothing is gone and creates nothing',
    class extends HonestStore {
      override async touch(key: string, at: number): ReturnType<Store['touch']> {
        await super.touch(key, at)
        return 'ok'
      }
    },
  ),
  broken(
    'replace of nothing is a conflict',
    'replace of nothing is gone and creates nothing',
    class extends HonestStore {
      override async replace(
        key: string,
        payload: string,
        at: number,
        base: Entry,
      ): ReturnType<Store['replace']> {
        const outcome = await super.replace(key, payload, at, base)
        return outcome === 'gone' ? 'conflict' : outcome
      }
    },
  ),
  broken(
    'a write returns what was stored before it',
    'create and replace return the entry as it is now stored',
    class extends HonestStore {
      override async replace(
        key: string,
        payload: string,
        at: number,
        base: Entry,
      ): ReturnType<Store['replace']> {
        const outcome = await super.replace(key, payload, at, base)
        return typeof outcome === 'string' ? outcome : { entry: base }
      }
    },
  ),
  broken(
    'a store on a server returns a credential',
    'only a store on the client returns a credential',
    class extends HonestStore {
      override put(key: string, payload: string, at: number): Written {
        return { ...super.put(key, payload, at), credential: key }
      }
    },
  ),
  broken(
    'the object in the map is the one that is returned',
    'a caller that changes a returned entry does not change the store',
    class extends HonestStore {
      override put(key: string, payload: string, at: number): Written {
        const entry = { payload, expiresAt: at }
        this.backend.rows.set(key, entry)
        return { entry }
      }
    },
  ),
  broken(
    'a returned entry changes with the store',
    'an entry that was returned does not change later',
    class extends HonestStore {
      override put(key: string, payload: string, at: number): Written {
        const entry = Object.assign(this.backend.rows.get(key) ?? {}, { payload, expiresAt: at })
        this.backend.rows.set(key, entry)
        return { entry }
      }
    },
  ),
  broken(
    'create answers before it is done, and never does it',
    'what create stored is read back',
    class extends HonestStore {
      override async create(_key: string, payload: string, at: number): ReturnType<Store['create']> {
        await this.begin()
        return { entry: { payload, expiresAt: at } }
      }
    },
  ),
  broken(
    'read returns no valid expiresAt',
    'read returns when the entry expires',
    class extends HonestStore {
      override async read(key: string, extendTo?: number): ReturnType<Store['read']> {
        const entry = await super.read(key, extendTo)
        return entry && { ...entry, expiresAt: this.now() }
      }
    },
  ),
  broken(
    'destroy only marks the row, and answers ok to every call',
    'destroy ends the entry, and only the first call answers ok',
    class extends HonestStore {
      override async destroy(key: string): ReturnType<Store['destroy']> {
        await this.begin()
        if (!this.backend.rows.has(key)) return 'gone'
        this.put(key, '', 0)
        return 'ok'
      }
    },
  ),
  broken(
    'a destroyed key can never be created again',
    'a destroyed key can be created again with another payload',
    class extends HonestStore {
      readonly #banned = new Set<string>()
      override async destroy(key: string, base?: Entry): ReturnType<Store['destroy']> {
        const outcome = await super.destroy(key, base)
        if (outcome === 'ok') this.#banned.add(key)
        return outcome
      }
      override async create(key: string, payload: string, at: number): ReturnType<Store['create']> {
        return this.#banned.has(key) ? 'exists' : super.create(key, payload, at)
      }
    },
  ),
]
