import { createHmac, randomBytes } from 'node:crypto'
import { SessionError } from '../../src/errors.ts'
import type { Entry, Store, StoreTraits, Written } from '../../src/store.ts'
import type { Backend } from './honest-store.ts'

const secret = randomBytes(32)

/** A store on the client: the payload is in the signed credential. */
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
  readonly backend: Backend

  constructor(backend: Backend) {
    this.backend = backend
  }

  async read(key: string): Promise<Entry | undefined> {
    const [body = '', mark = ''] = key.split('.')
    if (mark === '' || mark !== this.mark(body)) return undefined
    const text = Buffer.from(body, 'base64url').toString()
    const [head, moment, file = ''] = /^(\d+) (\S+) /.exec(text) ?? ['']
    const expiresAt = Number(moment)
    if (!(expiresAt > this.backend.time) || this.hasEnded(file)) return undefined
    return { payload: text.slice(head.length), expiresAt, key: file }
  }

  async create(key: string, payload: string, expiresAt: number): Promise<Written> {
    if (Buffer.byteLength(payload) > this.traits.maxBytes) {
      throw new SessionError('ERR_SESSION_LIMIT', 'client: the payload is too large')
    }
    const body = Buffer.from(`${expiresAt} ${key} ${payload}`).toString('base64url')
    return { entry: { payload, expiresAt, key }, credential: `${body}.${this.mark(body)}` }
  }

  async replace(key: string, payload: string, expiresAt: number, base: Entry): Promise<Written | 'gone'> {
    const file = base.key ?? key
    return this.hasEnded(file) ? 'gone' : this.create(file, payload, expiresAt)
  }

  async touch(key: string): Promise<'ok' | 'gone'> {
    return this.hasEnded(key) ? 'gone' : 'ok'
  }

  async destroy(key: string): Promise<'ok' | 'gone'> {
    return this.touch(key)
  }

  async close(): Promise<void> {}

  hasEnded(key: string): boolean {
    return this.backend.rows.has(key)
  }

  mark(body: string): string {
    return createHmac('sha256', secret).update(body).digest('base64url')
  }
}

/** The same with a list of revoked sessions in the rows of the backend. */
export class RevocableClientStore extends ClientStore {
  override readonly traits: StoreTraits = {
    name: 'client',
    location: 'client',
    revocable: true,
    shared: true,
    durable: true,
    resolution: 1,
    maxBytes: 3_000,
  }

  override async destroy(key: string, base?: Entry, until = Infinity): Promise<'ok' | 'gone'> {
    const file = base?.key ?? key
    if (this.hasEnded(file)) return 'gone'
    this.backend.rows.set(file, { payload: '', expiresAt: until })
    return 'ok'
  }

  override hasEnded(key: string): boolean {
    const row = this.backend.rows.get(key)
    return row !== undefined && row.expiresAt > this.backend.time
  }
}
