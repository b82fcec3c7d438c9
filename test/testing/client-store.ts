import { createHmac, randomBytes } from 'node:crypto'
import { SessionError } from '../../src/errors.ts'
import type { Entry, Store, StoreTraits, Written } from '../../src/store.ts'
import type { Backend } from './honest-store.ts'

/** A store that keeps nothing: the payload travels in the handle, signed. */
export class ClientStore implements Store {
  readonly traits: StoreTraits = {
    name: 'client',
    location: 'client',
    revocable: false,
    shared: true,
    durable: true,
    resolution: 1,
    maxBytes: 3_000,
  }
  readonly #backend: Backend
  readonly #secret = randomBytes(32)

  constructor(backend: Backend) {
    this.#backend = backend
  }

  async read(key: string): Promise<Entry | undefined> {
    const [body = '', mark = ''] = key.split('.')
    if (mark === '' || mark !== this.mark(body)) return undefined
    const text = Buffer.from(body, 'base64url').toString()
    const at = text.indexOf(' ')
    const expiresAt = Number(text.slice(0, at))
    return expiresAt > this.#backend.time ? { payload: text.slice(at + 1), expiresAt } : undefined
  }

  async create(_: string, payload: string, expiresAt: number): Promise<Written> {
    if (Buffer.byteLength(payload) > this.traits.maxBytes) {
      throw new SessionError('ERR_SESSION_LIMIT', 'client: the payload is too large')
    }
    const body = Buffer.from(`${expiresAt} ${payload}`).toString('base64url')
    return { entry: { payload, expiresAt }, handle: `${body}.${this.mark(body)}` }
  }

  async replace(key: string, payload: string, expiresAt: number): Promise<Written> {
    return this.create(key, payload, expiresAt)
  }

  async touch(key: string): Promise<'ok' | 'gone'> {
    return (await this.read(key)) === undefined ? 'gone' : 'ok'
  }

  async destroy(key: string): Promise<'ok' | 'gone'> {
    return this.touch(key)
  }

  async close(): Promise<void> {}

  mark(body: string): string {
    return createHmac('sha256', this.#secret).update(body).digest('base64url')
  }
}
