import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import test from 'ava'
import { Redis } from 'ioredis'
import Koa from 'koa'
import pg from 'pg'
import { session } from '../../src/index.ts'
import { serve } from '../support/client.ts'
import { engines } from './engine.ts'

/** Everything that is stored in the backend: names and contents. */
const dumps: Readonly<Record<string, (config: string) => Promise<Buffer>>> = {
  file: async (folder) => {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true })
    const parts = entries.map(async (entry) => {
      const name = Buffer.from(entry.name)
      return entry.isFile() ? [name, await readFile(path.join(entry.parentPath, entry.name))] : [name]
    })
    return Buffer.concat((await Promise.all(parts)).flat())
  },
  sqlite: async (file) => {
    const names = (await readdir(path.dirname(file))).map((name) => path.join(path.dirname(file), name))
    return Buffer.concat(await Promise.all(names.map(async (name) => readFile(name))))
  },
  redis: async (url) => {
    const client = new Redis(url)
    try {
      const keys = await client.keysBuffer('*')
      const values = keys.map(async (key) => (await client.dumpBuffer(key)) ?? Buffer.of())
      return Buffer.concat([...keys, ...(await Promise.all(values))])
    } finally {
      client.disconnect()
    }
  },
  postgres: async (url) => {
    const client = new pg.Client(url)
    await client.connect()
    try {
      const { rows } = await client.query<{ tablename: string }>(
        "SELECT tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
      )
      const tables = await Promise.all(
        rows.map(async ({ tablename }) =>
          client.query({ text: `SELECT t::text FROM "${tablename}" t`, rowMode: 'array' }),
        ),
      )
      return Buffer.from(JSON.stringify(tables.map((table) => table.rows)))
    } finally {
      await client.end()
    }
  },
}

for (const [provider, dump] of Object.entries(dumps)) {
  test(`security 6: after a login the ID is nowhere in ${provider}, in any encoding`, async (t) => {
    const open = engines[provider]
    if (open === undefined) throw new Error(provider)
    const { config, stop } = await open()
    t.teardown(stop)
    const sessions = session({ provider, providerConfig: config })
    t.teardown(async () => sessions.manager.close())
    const app = new Koa().use(sessions)
    app.use((ctx) => {
      ctx.session.set('user', 'planted-user')
      if (ctx.path === '/login') ctx.session.regenerate()
      ctx.body = 'in'
    })
    const { client } = await serve(t, app)
    const visitor = client()
    const ids: Buffer[] = []
    for (const page of ['/', '/login']) {
      await visitor.get(page)
      ids.push(Buffer.from(visitor.cookies.get('sid') ?? '', 'base64url'))
    }
    const stored = await dump(config)
    t.true(stored.includes('planted-user')) // so the ID would be found here
    for (const id of ids) {
      t.is(id.length, 32)
      for (const spelling of ['base64url', 'base64', 'hex', 'latin1'] as const) {
        const text = id.toString(spelling)
        t.false(stored.includes(Buffer.from(text, 'latin1')), spelling)
        t.false(stored.includes(Buffer.from(text.toUpperCase(), 'latin1')), spelling)
      }
    }
  })
}
