// `koa-typed-session doctor` finds what is planted on real servers, and nothing on sound ones.
import { randomBytes } from 'node:crypto'
import { chmod, writeFile } from 'node:fs/promises'
import path from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { createConnection } from 'mysql2/promise'
import { Client } from 'pg'
import { SessionManager } from '../../src/index.ts'
import type { Finding } from '../../src/store.ts'
import { koaTypedSession } from '../cli/command.ts'
import { freshDatabase, mariadbServer } from '../servers/mariadb.ts'
import { memcachedServer, startMemcached } from '../servers/memcached.ts'
import { emptyDatabase, startPostgres } from '../servers/postgres.ts'
import { observe, option, startRedis } from '../servers/redis.ts'
import { temporaryFolder } from '../support/cleanup.ts'

/** What depends on the disk of the machine. */
const OF_DISK = ['file system', 'space', 'files']

/** The checks that found a fault, and what they said. */
async function faults(
  t: ExecutionContext,
  provider: string,
  config: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Readonly<Record<string, string>>> {
  const { code, json, out, err } = await koaTypedSession(['doctor', '--provider', provider, '--json'], {
    env: { SESSION_PROVIDER_CONFIG: config, ...env },
  })
  const findings = json['findings'] as readonly Finding[]
  t.true(Array.isArray(findings), out + err)
  t.is(code, findings.every(({ ok }) => ok) ? 0 : 1)
  t.is(json['faults'], findings.filter(({ ok }) => !ok).length)
  for (const { text } of findings) t.false(text.includes('hunter2'), text)
  const wrong = findings.filter(({ ok, check }) => !ok && !OF_DISK.includes(check))
  return Object.fromEntries(wrong.map(({ check, text }) => [check, text]))
}

const redis = await startRedis({ args: [...option('appendonly', 'yes')] })
const mariadb = await mariadbServer()
const postgres = await startPostgres('fsync=on')
// A server of tests need not survive anything.
const root = await createConnection((await freshDatabase(mariadb)).url)
await root.query('SET GLOBAL innodb_flush_log_at_trx_commit = 1')
test.after.always(async () => {
  await root.end()
  for (const server of [redis, mariadb, postgres]) await server.stop()
})
const eye = observe(redis.port)
test.after.always(() => eye.disconnect())

test.serial('on sound servers nothing is found', async (t) => {
  const { url: mysql } = await freshDatabase(mariadb)
  const { url: pg } = await emptyDatabase(postgres)
  t.deepEqual(await faults(t, 'redis', redis.url), {})
  t.deepEqual(await faults(t, 'mysql', mysql), {})
  t.deepEqual(await faults(t, 'postgres', pg), {})
  t.deepEqual(await faults(t, 'file', await temporaryFolder('kts-doctor-')), {})
  t.deepEqual(await faults(t, 'sqlite', path.join(await temporaryFolder('kts-doctor-'), 'sessions.db')), {})
  t.is(await eye.dbsize(), 0)
})

test.serial('fault 1: nothing listens', async (t) => {
  t.regex((await faults(t, 'redis', 'redis://127.0.0.1:1/0'))['connection'] ?? '', /nothing listens|refused/i)
})

test.serial('fault 2: a server that is full ends sessions', async (t) => {
  await eye.config('SET', 'maxmemory', '100mb')
  await eye.config('SET', 'maxmemory-policy', 'allkeys-lru')
  t.teardown(async () => {
    await eye.config('SET', 'maxmemory', '0')
    await eye.config('SET', 'maxmemory-policy', 'noeviction')
  })
  const found = await faults(t, 'redis', redis.url)
  t.deepEqual(Object.keys(found), ['eviction'])
  t.regex(found['eviction'] ?? '', /allkeys-lru.*noeviction/)
})

test.serial('fault 3: a restart ends all sessions', async (t) => {
  await eye.config('SET', 'appendonly', 'no')
  await eye.config('SET', 'save', '')
  t.teardown(async () => eye.config('SET', 'appendonly', 'yes'))
  const found = await faults(t, 'redis', redis.url)
  t.deepEqual(Object.keys(found), ['persistence'])
})

test.serial('fault 4: acknowledged writes wait for the operating system', async (t) => {
  await eye.config('SET', 'appendfsync', 'no')
  t.teardown(async () => eye.config('SET', 'appendfsync', 'everysec'))
  t.deepEqual(Object.keys(await faults(t, 'redis', redis.url)), ['persistence'])
})

test.serial('fault 5: the user may not do what the store does', async (t) => {
  await eye.call(
    'ACL',
    'SETUSER',
    'clerk',
    'on',
    '>hunter2',
    '~session:*',
    '+@read',
    '+info',
    '+ping',
    '+select',
  )
  t.teardown(async () => eye.call('ACL', 'DELUSER', 'clerk'))
  const found = await faults(t, 'redis', `redis://clerk:hunter2@127.0.0.1:${redis.port}/0`)
  t.regex(Object.values(found).join(), /right|permission|NOPERM|allowed/i)
})

test.serial('fault 6: the server is a replica, which stores nothing', async (t) => {
  const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(redis.port)] })
  t.teardown(async () => replica.stop())
  t.regex(Object.values(await faults(t, 'redis', replica.url)).join(), /replica|read.?only/i)
})

test.serial('fault 7: another application uses the same prefix', async (t) => {
  const [one, other] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')]
  const stranger = new SessionManager({
    provider: 'redis',
    providerConfig: redis.url,
    seal: { keys: [one] },
  })
  await stranger.begin().set('a', 1).commit()
  await stranger.close()
  t.teardown(async () => eye.flushall())
  const found = await faults(t, 'redis', redis.url, { SESSION_SEAL_KEYS: other })
  t.deepEqual(Object.keys(found), ['neighbours'])
})

test.serial('fault 8: MySQL acknowledges what a crash would lose', async (t) => {
  const { url } = await freshDatabase(mariadb)
  await root.query('SET GLOBAL innodb_flush_log_at_trx_commit = 2')
  t.teardown(async () => root.query('SET GLOBAL innodb_flush_log_at_trx_commit = 1'))
  t.deepEqual(Object.keys(await faults(t, 'mysql', url)), ['durability'])
})

test.serial('fault 9: a packet of MySQL is smaller than a session may be', async (t) => {
  const { url } = await freshDatabase(mariadb)
  const [rows] = await root.query('SELECT @@global.max_allowed_packet AS bytes')
  const { bytes } = (rows as { bytes: number }[])[0] ?? { bytes: 0 }
  await root.query('SET GLOBAL max_allowed_packet = 65536')
  t.teardown(async () => root.query(`SET GLOBAL max_allowed_packet = ${bytes}`))
  const found = await faults(t, 'mysql', url)
  t.deepEqual(Object.keys(found), ['size'])
  t.regex(found['size'] ?? '', /raise the limit of the server/)
})

test.serial('fault 10: PostgreSQL acknowledges what a crash would lose', async (t) => {
  const { url } = await emptyDatabase(postgres)
  const client = new Client({ connectionString: url })
  await client.connect()
  t.teardown(async () => client.end())
  const name = new URL(url).pathname.slice(1)
  await client.query(`ALTER DATABASE "${name}" SET synchronous_commit = off`)
  t.deepEqual(Object.keys(await faults(t, 'postgres', url)), ['durability'])
})

test.serial('fault 11: the table was made unlogged, and has rows of another program', async (t) => {
  const { url } = await emptyDatabase(postgres)
  const manager = new SessionManager({ provider: 'postgres', providerConfig: url })
  await manager.ready()
  await manager.close()
  const client = new Client({ connectionString: url })
  await client.connect()
  t.teardown(async () => client.end())
  const { rows } = await client.query<{ name: string }>(
    "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'",
  )
  const table = rows[0]?.name ?? ''
  await client.query(`ALTER TABLE "${table}" SET UNLOGGED`)
  await client.query(
    `INSERT INTO "${table}" (session_key, session_data, session_expiry, session_due) VALUES ('x', 'gob', now() + interval '1 hour', now() + interval '1 hour')`,
  )
  t.deepEqual(Object.keys(await faults(t, 'postgres', url)).toSorted(), ['durability', 'neighbours'])
})

test.serial('fault 12: memcached stores smaller items than a session may be', async (t) => {
  const sound = await memcachedServer()
  t.teardown(async () => sound.stop())
  t.deepEqual(await faults(t, 'memcache', sound.url), {})
  const small = await startMemcached({ args: ['-I', '512k'] })
  t.teardown(async () => small.stop())
  const found = await faults(t, 'memcache', small.url)
  t.regex(Object.values(found).join(), /item|larger|size/i)
})

test.serial('fault 13: the clocks of the machines differ', async (t) => {
  const { url } = await freshDatabase(mariadb)
  const folder = await temporaryFolder('kts-doctor-')
  const clock = path.join(folder, 'clock.mjs')
  await writeFile(clock, 'const now = Date.now; Date.now = () => now() + 3_600_000\n')
  const env = { NODE_OPTIONS: `--import=${clock}` }
  const found = await faults(t, 'mysql', url, env)
  t.deepEqual(Object.keys(found), ['clock'])
  t.regex(found['clock'] ?? '', /-3600 s/)
})

test.serial('fault 14: the folder of the sessions is open to other users', async (t) => {
  const folder = await temporaryFolder('kts-doctor-')
  await chmod(folder, 0o777)
  t.regex((await faults(t, 'file', folder))['connection'] ?? '', /folder/)
})
