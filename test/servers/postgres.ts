import { randomBytes } from 'node:crypto'
import { appendFile, chmod, chown, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Client, Pool } from 'pg'
import { runCommand } from '../support/cleanup.ts'
import { locate, tools } from './packages.ts'
import { freeze, start, type Server } from './server.ts'

/** A PostgreSQL of the test run. */
export interface PostgresServer extends Server {
  readonly host: string
  readonly port: number
}

/** A PostgreSQL of one's own, to be killed and stalled. It speaks TLS, and counts statements. */
export interface MortalPostgresServer extends PostgresServer {
  /** Where its certificate lies, which is its own authority. */
  readonly certificate: string
  /** Where it keeps its data and its configuration. */
  readonly data: string
  /** Kills all its processes at once, as a crash does. */
  crash(): Promise<void>
  /** Starts it again on the same port, and waits until it answers. */
  restart(): Promise<void>
  /** Leaves it standing and silent: it accepts connections and never answers. */
  stall(): Promise<void>
  /** Ends what `stall` began. */
  resume(): Promise<void>
}

/** An empty database on a server, and a connection to look into it. */
export interface Database {
  readonly url: string
  readonly name: string
  query(text: string, values?: readonly unknown[]): Promise<readonly Readonly<Record<string, unknown>>[]>
  /** Ends all its connections but our own, and refuses new ones until `allow`. */
  forbid(): Promise<void>
  allow(): Promise<void>
  /** The URL for another user, whom these statements make: `shop` in them is the name of the user and of the database. */
  urlFor(statements: readonly string[]): Promise<string>
  drop(): Promise<void>
}

/** The table of beego's documentation. */
export const CLASSIC_TABLE = `CREATE TABLE session (
  session_key char(64) NOT NULL,
  session_data bytea,
  session_expiry timestamp NOT NULL,
  CONSTRAINT session_key PRIMARY KEY (session_key)
)`

const NOBODY = 65_534
const USER = 'postgres'
const PASSWORD = 's3cret:pa@ss/word'

/** The server of the test run: that of `POSTGRES_URL`, or a private one. */
export async function postgresServer(): Promise<PostgresServer> {
  const given = process.env['POSTGRES_URL']
  if (given === undefined || given === '') return startPostgres()
  const { hostname, port } = new URL(given)
  return { url: given, host: hostname, port: Number(port || 5432), stop: async () => undefined }
}

/** Starts a private server, with more settings: `fsync=on`. */
export async function startPostgres(...more: readonly string[]): Promise<MortalPostgresServer> {
  const bin = path.dirname(await locate(tools.postgres))
  const identity = await serverIdentity()
  const running = await start({
    exitSignal: 'SIGQUIT', // by which it removes its shared memory
    tool: tools.postgres,
    args: (port, folder) => argsOf(port, folder, more),
    ...identity,
    answers: async (port) => {
      const client = new Client({ connectionString: urlOf(port), ssl: false })
      client.on('error', () => undefined)
      await client.connect()
      await client.end()
    },
    prepare: async (folder) => prepare(bin, folder, identity),
  })
  const { port, folder } = running

  async function crash(): Promise<void> {
    const processes = await familyOf(running.pid)
    for (const pid of processes) signal(pid, 'SIGKILL')
    await running.kill()
    while (processes.some((pid) => signal(pid, 0))) await delay(20)
  }
  return {
    url: urlOf(port),
    host: '127.0.0.1',
    port,
    certificate: path.join(folder, 'server.crt'),
    data: path.join(folder, 'data'),
    crash,
    async restart() {
      await rm(path.join(folder, 'data', 'postmaster.pid'), { force: true })
      await running.restart()
    },
    async stall() {
      for (const pid of await familyOf(running.pid)) freeze(pid)
    },
    async resume() {
      for (const pid of await familyOf(running.pid)) signal(pid, 'SIGCONT')
    },
    async stop() {
      for (const pid of await familyOf(running.pid)) signal(pid, 'SIGCONT')
      // An immediate shutdown: it gives back shared memory, which a killed server cannot.
      await running.stop('SIGQUIT')
    },
  }
}

/** Makes an empty database of random name. */
export async function emptyDatabase(server: PostgresServer, options = ''): Promise<Database> {
  const name = `kts_${randomBytes(6).toString('hex')}`
  const admin = new Pool({ connectionString: server.url, max: 1 })
  admin.on('error', () => undefined)
  await admin.query(`CREATE DATABASE ${name} ${options}`)
  const url = new URL(server.url)
  url.pathname = `/${name}`
  const inside = new Pool({ connectionString: url.href, max: 2, application_name: 'kts-tests' })
  inside.on('error', () => undefined)
  return {
    url: url.href,
    name,
    query: async (text, values = []) => (await inside.query(text, [...values])).rows,
    async forbid() {
      await admin.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`)
      await admin.query(
        `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
         WHERE datname = $1 AND application_name <> 'kts-tests'`,
        [name],
      )
    },
    async allow() {
      await admin.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`)
    },
    async urlFor(statements) {
      // What all users may do by default.
      await inside.query(
        `REVOKE ALL ON DATABASE ${name} FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC`,
      )
      for (const statement of statements) await inside.query(statement.replace(/\bshop\b/g, name))
      const own = new URL(url)
      own.username = name
      own.password = 'password'
      return own.href
    },
    async drop() {
      await inside.end()
      await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
      await admin.query(`DROP ROLE IF EXISTS ${name}`)
      await admin.end()
    },
  }
}

function argsOf(port: number, folder: string, more: readonly string[]): readonly string[] {
  const places = ['-D', path.join(folder, 'data'), '-p', String(port), '-k', folder, '-h', '127.0.0.1']
  const settings = ['fsync=off', 'max_connections=200', 'log_min_messages=fatal']
  const extension = 'shared_preload_libraries=pg_stat_statements'
  // Shared memory lies in the data folder, and is removed with it even if the server is killed.
  const memory = 'dynamic_shared_memory_type=mmap'
  return [...places, ...[...settings, extension, memory, ...more].flatMap((setting) => ['-c', setting])]
}

function urlOf(port: number): string {
  return `postgres://${USER}:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}/postgres`
}

/** The server refuses to run as root, so root starts it as the user that the package brings. */
export async function serverIdentity(): Promise<{ uid: number; gid: number } | Record<string, never>> {
  if (process.getuid?.() !== 0) return {}
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map(async (flag) => runCommand('id', [flag, 'postgres']).then(Number, () => NOBODY)),
  )
  return { uid: uid ?? NOBODY, gid: gid ?? NOBODY }
}

async function prepare(bin: string, folder: string, identity: { uid?: number; gid?: number }): Promise<void> {
  const { uid, gid } = identity
  const [secret, key, certificate] = ['password', 'server.key', 'server.crt'].map((name) =>
    path.join(folder, name),
  )
  if (secret === undefined || key === undefined || certificate === undefined) return
  await writeFile(secret, PASSWORD, { mode: 0o644 })
  if (uid !== undefined && gid !== undefined) await chown(folder, uid, gid)
  await chmod(folder, 0o755)
  const data = path.join(folder, 'data')
  const flags = ['-U', USER, '-A', 'scram-sha-256', `--pwfile=${secret}`, '-E', 'UTF8', '--locale=C', '-N']
  await runCommand(path.join(bin, 'initdb'), ['-D', data, ...flags], { cwd: folder, ...identity })
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
  const files = ['-keyout', key, '-out', certificate]
  await runCommand(await locate(tools.openssl), [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    ...subject,
    ...files,
  ])
  // In the file and not among the arguments, so that a test can change it while the server runs.
  await appendFile(path.join(data, 'postgresql.conf'), '\nssl = on\n')
  await runCommand('cp', [key, certificate, data])
  for (const name of ['server.key', 'server.crt']) {
    await chmod(path.join(data, name), 0o600)
    if (uid !== undefined && gid !== undefined) await chown(path.join(data, name), uid, gid)
  }
  await chmod(certificate, 0o644)
}

/** The server and the processes that it has started. */
async function familyOf(pid: number): Promise<readonly number[]> {
  const args = ['-o', 'pid=', '--ppid', String(pid), '-p', String(pid)]
  // `ps` fails where it finds none: the server has ended meanwhile.
  const stdout = await runCommand('ps', args).catch(() => '')
  return stdout.trim() === '' ? [] : stdout.trim().split(/\s+/).map(Number)
}

function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name)
  } catch {
    return false
  }
}
