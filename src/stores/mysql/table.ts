import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import type { PoolConnection } from 'mysql2/promise'
import { SessionError } from '../../errors.ts'
import { versionOf, type Entry } from '../../store.ts'
import { isDuplicateKey } from './errors.ts'
import { execute } from './execute.ts'
import type { MysqlSchema } from './schema.ts'
import { statementsFor, type MysqlStatements } from './statements.ts'

/** A payload, and the ms it still lives by the clock of the database. */
export interface MysqlRow {
  readonly payload: string
  readonly life: number
}

/** Others may come and go under a key, but not so often while one statement follows another. */
const MAX_ROUNDS = 10

/** The verbs of a store in SQL. Lives are in ms from now; what makes a change is always a single statement. */
export class MysqlTable {
  readonly schema: MysqlSchema
  readonly statements: MysqlStatements

  constructor(schema: MysqlSchema) {
    this.schema = schema
    this.statements = statementsFor(schema.table, schema.grain)
  }

  async read(connection: PoolConnection, key: string): Promise<MysqlRow | undefined> {
    const [row] = (await execute(connection, this.statements.read, [this.#named(key)])).rows
    if (row === undefined) return undefined
    const [data, life] = row
    // What others have put there may be no text, or nothing at all.
    return { payload: Buffer.isBuffer(data) ? data.toString() : '', life: Number(life) }
  }

  async create(
    connection: PoolConnection,
    key: string,
    payload: string,
    life: number,
  ): Promise<'ok' | 'exists'> {
    const name = this.#named(key)
    const bytes = this.#checked('create', payload)
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const insert = execute(connection, this.statements.insert, [name, bytes, life])
      if (await insert.then(() => true, isTaken)) return 'ok'
      const { affected } = await execute(connection, this.statements.succeed, [bytes, life, name])
      if (affected > 0) return 'ok'
      if (await this.#isAlive(connection, name)) return 'exists'
      // Whoever was in the way has been destroyed or swept in between, so the place is free.
    }
    throw new SessionError('ERR_SESSION_STORE', 'mysql: create failed: others come and go under this key')
  }

  async replace(
    connection: PoolConnection,
    key: string,
    payload: string,
    life: number,
    base: Entry,
  ): Promise<'ok' | 'conflict' | 'gone'> {
    const name = this.#named(key)
    const values = [this.#checked('replace', payload), life, name, versionOf(base.payload)]
    const { affected } = await execute(connection, this.statements.replace, values)
    return affected > 0 ? 'ok' : this.#rival(connection, name)
  }

  async touch(connection: PoolConnection, key: string, life: number): Promise<'ok' | 'gone'> {
    const name = this.#named(key)
    const { affected } = await execute(connection, this.statements.touch, [life, name])
    // A client without the flag FOUND_ROWS does not count a row that lives longer already.
    return affected > 0 || (await this.#isAlive(connection, name)) ? 'ok' : 'gone'
  }

  async destroy(connection: PoolConnection, key: string, base?: Entry): Promise<'ok' | 'conflict' | 'gone'> {
    const name = this.#named(key)
    if (base === undefined) {
      const { affected } = await execute(connection, this.statements.destroy, [name])
      return affected > 0 ? 'ok' : 'gone'
    }
    const { affected } = await execute(connection, this.statements.destroyFrom, [
      name,
      versionOf(base.payload),
    ])
    return affected > 0 ? 'ok' : this.#rival(connection, name)
  }

  async count(connection: PoolConnection): Promise<number> {
    const { rows } = await execute(connection, this.statements.count)
    return Number(rows[0]?.[0])
  }

  /** Why nothing was found. Versions are never used again, so whoever lives there now had another one then, too. */
  async #rival(connection: PoolConnection, name: string): Promise<'conflict' | 'gone'> {
    return (await this.#isAlive(connection, name)) ? 'conflict' : 'gone'
  }

  async #isAlive(connection: PoolConnection, name: string): Promise<boolean> {
    return (await execute(connection, this.statements.life, [name])).rows.length > 0
  }

  /**
   * The documented table has 64 characters for a key and takes `A` for `a`. A hash in hex fits and stays as it is; what
   * does not fit becomes one, behind a `~` that no key contains.
   */
  #named(key: string): string {
    if (this.schema.grain === 'milliseconds' || /^[0-9a-z_-]{1,64}$/.test(key)) return key
    return `~${createHash('sha256').update(key).digest('hex').slice(1)}`
  }

  /** The bytes of a payload that the table can take. */
  #checked(verb: string, payload: string): Buffer {
    const bytes = Buffer.from(payload)
    const { maxBytes } = this.schema
    if (bytes.length <= maxBytes) return bytes
    throw new SessionError(
      'ERR_SESSION_LIMIT',
      `mysql: ${verb} refused, the payload has ${bytes.length} bytes and the table takes ${maxBytes}`,
    )
  }
}

function isTaken(error: unknown): false {
  if (isDuplicateKey(error)) return false
  throw error
}
