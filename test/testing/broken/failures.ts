import { SessionError } from '../../../src/errors.ts'
import type { Entry, Store } from '../../../src/store.ts'
import { HonestStore } from '../honest-store.ts'
import { broken, type Broken } from './broken.ts'

/** A failure is hidden, shows secrets or leaves something half-written. */
export const failures: readonly Broken[] = [
  broken(
    'a failure is reported as absence',
    'while the backend fails every verb rejects',
    class extends HonestStore {
      override async read(key: string, extendTo?: number): ReturnType<Store['read']> {
        return super.read(key, extendTo).catch(() => undefined)
      }
    },
  ),
  broken(
    'the error of the driver is not wrapped',
    'while the backend fails every verb rejects',
    class extends HonestStore {
      override async begin(): Promise<void> {
        if (this.backend.broken) throw new TypeError('ECONNREFUSED')
        return super.begin()
      }
    },
  ),
  broken(
    'an error names the key',
    'an error names no key, and neither it nor its cause shows a payload',
    class extends HonestStore {
      override async touch(key: string, at: number): ReturnType<Store['touch']> {
        return super.touch(key, at).catch(() => {
          throw new SessionError('ERR_SESSION_STORE', `touch of ${key} failed`)
        })
      }
    },
  ),
  broken(
    'the cause of an error has the payload among its parameters',
    'an error names no key, and neither it nor its cause shows a payload',
    class extends HonestStore {
      override async create(key: string, payload: string, at: number): ReturnType<Store['create']> {
        return super.create(key, payload, at).catch(() => {
          const cause = Object.assign(new Error('down'), { parameters: [payload] })
          throw new SessionError('ERR_SESSION_STORE', 'create failed', { cause })
        })
      }
    },
  ),
  broken(
    'a replace that fails leaves half a payload',
    'after a failure nothing is lost or half-written, and every verb works again',
    class extends HonestStore {
      override async replace(
        key: string,
        payload: string,
        at: number,
        base: Entry,
      ): ReturnType<Store['replace']> {
        if (this.backend.broken) this.put(key, payload.slice(0, 24), at)
        return super.replace(key, payload, at, base)
      }
    },
  ),
  broken(
    'a store that failed to connect never tries again',
    'a store that is first used while the backend fails works afterwards',
    class extends HonestStore {
      #connection: Promise<void> | undefined
      override async begin(): Promise<void> {
        this.#connection ??= super.begin()
        await this.#connection
      }
    },
  ),
  broken(
    'a refusal is told as silence',
    'while the backend refuses to store, reads succeed, and a refusal says that it was answered',
    class extends HonestStore {
      override admit(): void {
        if (this.backend.full) throw new SessionError('ERR_SESSION_STORE', 'full')
      }
    },
  ),
  broken(
    'a full backend is not read',
    'while the backend refuses to store, reads succeed, and a refusal says that it was answered',
    class extends HonestStore {
      override async begin(): Promise<void> {
        await super.begin()
        this.admit()
      }
    },
  ),
  broken(
    'a refused write is told as applied',
    'while the backend refuses to store, reads succeed, and a refusal says that it was answered',
    class extends HonestStore {
      override async create(key: string, payload: string, at: number): ReturnType<Store['create']> {
        if (this.backend.full) return { entry: { payload, expiresAt: at } }
        return super.create(key, payload, at)
      }
    },
  ),
  broken(
    'a refusal names the key',
    'a refusal names no key, and neither it nor its cause shows a payload',
    class extends HonestStore {
      override async create(key: string, payload: string, at: number): ReturnType<Store['create']> {
        if (this.backend.full)
          throw new SessionError('ERR_SESSION_STORE', `no room for ${key}`, { answered: true })
        return super.create(key, payload, at)
      }
    },
  ),
  broken(
    'a refused replace has removed the entry',
    'after a refusal nothing is lost or half-written, and every verb works again',
    class extends HonestStore {
      override async replace(
        key: string,
        payload: string,
        at: number,
        base: Entry,
      ): ReturnType<Store['replace']> {
        if (this.backend.full) this.backend.rows.delete(key)
        return super.replace(key, payload, at, base)
      }
    },
  ),
]
