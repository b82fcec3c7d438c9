import { SessionError } from '../../../src/errors.ts'
import { type Backend, HonestStore } from '../honest-store.ts'
import { broken, type Broken } from './broken.ts'

const busy: WeakSet<Backend> = new WeakSet()

/** Too much or too little is swept or counted. */
export const sweepAndCount: readonly Broken[] = [
  broken(
    'sweep ignores its limit',
    'sweep removes no more than its limit, and goes on where it stopped',
    class extends HonestStore {
      override async sweep(): Promise<number> {
        return super.sweep(Infinity)
      }
    },
  ),
  broken(
    'sweep removes living entries too',
    'sweep removes what has expired and nothing else',
    class extends HonestStore {
      override async sweep(limit: number): Promise<number> {
        const swept = await super.sweep(limit)
        const [first] = this.backend.rows.keys()
        if (first !== undefined) this.backend.rows.delete(first)
        return swept
      }
    },
  ),
  broken(
    'sweep does nothing',
    'sweep removes what has expired and nothing else',
    class extends HonestStore {
      override async sweep(): Promise<number> {
        return 0
      }
    },
  ),
  broken(
    'sweep returns how many rows it read',
    'a sweep of nothing removes nothing',
    class extends HonestStore {
      override async sweep(limit: number): Promise<number> {
        await super.sweep(limit)
        return Math.min(limit, this.backend.rows.size)
      }
    },
  ),
  broken(
    'a sweep fails while another one runs',
    'sweeps at once remove what has expired and nothing else',
    class extends HonestStore {
      override async sweep(limit: number): Promise<number> {
        if (busy.has(this.backend)) throw new SessionError('ERR_SESSION_STORE', 'another sweep is running')
        busy.add(this.backend)
        return super.sweep(limit).finally(() => busy.delete(this.backend))
      }
    },
  ),
  broken(
    'sweep removes by key what it read as expired',
    'a sweep does not remove what is created or extended at the same time',
    class extends HonestStore {
      override async sweep(limit: number): Promise<number> {
        const expired = [...this.backend.rows.keys()].filter((key) => this.living(key) === undefined)
        await this.begin()
        const swept = expired.slice(0, limit)
        for (const key of swept) this.backend.rows.delete(key)
        return swept.length
      }
    },
  ),
  broken(
    'count is out of date',
    'count returns the number of living entries',
    class extends HonestStore {
      #counted: number | undefined
      override async count(): Promise<number> {
        this.#counted ??= await super.count()
        return this.#counted
      }
    },
  ),
  broken(
    'count includes expired entries',
    'count leaves out expired entries',
    class extends HonestStore {
      override async count(): Promise<number> {
        return this.backend.rows.size
      }
    },
  ),
]
