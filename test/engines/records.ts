import { readdir, readFile, writeFile } from 'node:fs/promises'
import { createHash } from 'node:crypto'
import path from 'node:path'
import { connect as connectCouchbase } from 'couchbase'
import { createPool, type RowDataPacket } from 'mysql2/promise'
import { Pool } from 'pg'
import { MemcachedConsole } from '../servers/memcached.ts'
import { openClient } from '../stores/sqlite/drivers.ts'
import { observe } from '../servers/redis.ts'

/** What an engine stores under the keys of sessions, as bytes, read and damaged without any store. */
export interface Records {
  read(key: string): Promise<Buffer | undefined>
  /** Replaces the stored bytes, and leaves the expiry alone. */
  spoil(key: string, bytes: Buffer): Promise<void>
  close(): Promise<void>
}

/** Connects to an engine past any proxy, by the name of its provider. */
export const openRecords: Readonly<Record<string, (config: string) => Promise<Records>>> = {
  file: async (folder) => new FileRecords(folder),
  sqlite: async (file) => {
    const client = openClient(file)
    return {
      async read(key) {
        const [row] = client
          .prepare('SELECT session_data AS bytes FROM session WHERE session_key = ?')
          .all(key)
        return row === undefined ? undefined : Buffer.from(Object(row).bytes)
      },
      spoil: async (key, bytes) =>
        void client.prepare('UPDATE session SET session_data = ? WHERE session_key = ?').all(bytes, key),
      close: async () => void client.close(),
    }
  },
  redis: redisRecords,
  redis_cluster: redisRecords,
  redis_sentinel: redisRecords,
  memcache: async (url) => {
    const backend = new MemcachedConsole(Number(new URL(url).port))
    return {
      async read(key) {
        const item = await backend.look(`session:${key}`)
        return item && Buffer.from(item.value, 'latin1')
      },
      async spoil(key, bytes) {
        const { flags } = (await backend.look(`session:${key}`)) ?? { flags: 0 }
        await backend.put(`session:${key}`, flags, flags + 3, bytes.toString('latin1'))
      },
      close: async () => undefined,
    }
  },
  couchbase: async (config) => {
    const url = new URL(config)
    const { username, password } = url
    const cluster = await connectCouchbase(`couchbase://${url.host}`, { username, password })
    const collection = cluster.bucket(url.pathname.slice(1)).defaultCollection()
    const transcoder = {
      encode: (bytes: unknown): [Buffer, number] => [Buffer.from(bytes as Buffer), 0x04_00_00_00],
      decode: (bytes: Buffer): Buffer => bytes,
    }
    return {
      async read(key) {
        const found = await collection.get(`session:${key}`, { transcoder }).catch(() => undefined)
        return found?.content
      },
      spoil: async (key, bytes) =>
        void (await collection.replace(`session:${key}`, bytes, { transcoder, expiry: 3_600 })),
      close: async () => cluster.close(),
    }
  },
  mysql: async (uri) => {
    const pool = createPool({ uri, connectionLimit: 4 })
    return {
      async read(key) {
        const [rows] = await pool.query<RowDataPacket[]>(
          'SELECT session_data AS bytes FROM session WHERE session_key = ?',
          [key],
        )
        return rows[0]?.['bytes']
      },
      spoil: async (key, bytes) =>
        void (await pool.query('UPDATE session SET session_data = ? WHERE session_key = ?', [bytes, key])),
      close: async () => pool.end(),
    }
  },
  postgres: async (connectionString) => {
    const pool = new Pool({ connectionString, max: 4 })
    const { rows } = await pool.query(
      "SELECT data_type FROM information_schema.columns WHERE table_name = 'session' AND column_name = 'session_data'",
    )
    const isText = rows[0]?.data_type === 'text'
    return {
      async read(key) {
        const found = await pool.query('SELECT session_data AS data FROM session WHERE session_key = $1', [
          key,
        ])
        const [row] = found.rows
        return row && Buffer.from(row.data)
      },
      // In the first case the server refuses bytes that are not text.
      spoil: async (key, bytes) => {
        const data = isText ? `convert_from($2, 'UTF8')` : '$2'
        await pool.query(`UPDATE session SET session_data = ${data} WHERE session_key = $1`, [key, bytes])
      },
      close: async () => pool.end(),
    }
  },
}

async function redisRecords(url: string): Promise<Records> {
  const client = observe(Number(new URL(url).port))
  return {
    read: async (key) => (await client.getBuffer(`session:${key}`)) ?? undefined,
    spoil: async (key, bytes) => void (await client.set(`session:${key}`, bytes, 'KEEPTTL')),
    close: async () => client.disconnect(),
  }
}

/** The payloads of the file store: files beside the session's folder, named after its key. */
class FileRecords implements Records {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  async read(key: string): Promise<Buffer | undefined> {
    const file = await this.#find(key)
    return file === undefined ? undefined : readFile(file)
  }

  async spoil(key: string, bytes: Buffer): Promise<void> {
    await writeFile((await this.#find(key)) ?? '', bytes)
  }

  async close(): Promise<void> {}

  async #find(key: string): Promise<string | undefined> {
    const digest = createHash('sha256').update(key).digest('hex')
    const shelf = path.join(this.#folder, digest.slice(0, 2))
    const names = await readdir(shelf).catch(() => [])
    const name = names.find((each) => each.startsWith(`${digest}.`))
    return name === undefined ? undefined : path.join(shelf, name)
  }
}
