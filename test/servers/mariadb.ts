import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { createConnection, createPool, type Connection, type RowDataPacket } from 'mysql2/promise'
import { runCommand } from '../support/cleanup.ts'
import { locate, tools } from './packages.ts'
import { freeze, start, type Program, type Server } from './server.ts'

/** A database of a test's own on the server of the test run. */
export interface MariadbDatabase {
  readonly name: string
  readonly url: string
  /** Runs a statement, and tells its rows. */
  sql(text: string, values?: readonly (string | number)[]): Promise<RowDataPacket[]>
  /** The URL for another user, whom these statements make: `shop` in them is the name of the user and of the database. */
  urlFor(statements: readonly string[]): Promise<string>
  drop(): Promise<void>
}

/** A server of a test's own, which it may kill. */
export interface PrivateMariadb extends Server {
  readonly port: number
  readonly socketPath: string
  /** `SIGKILL`, as when the machine dies. */
  kill(): Promise<void>
  /** Starts it again after `kill`, on the same port with the same data. */
  restart(): Promise<void>
  /** It keeps its connections and answers nothing until `thaw`. */
  freeze(): void
  thaw(): void
}

const USER = 'kts'
const PASSWORD = 'sword/fish@:?'
const DATABASE = 'kts'
const SETUP =
  `CREATE USER IF NOT EXISTS '${USER}'@'%' IDENTIFIED BY '${PASSWORD}';\n` +
  `GRANT ALL ON *.* TO '${USER}'@'%' WITH GRANT OPTION;\nCREATE DATABASE IF NOT EXISTS ${DATABASE};\n`

/** The server of the test run: that of `MYSQL_URL`, or a private one. */
export async function mariadbServer(): Promise<Server> {
  const url = process.env['MYSQL_URL']
  return url === undefined || url === '' ? privateMariadb() : { url, stop: async () => undefined }
}

/** A fresh database on a server. */
export async function freshDatabase({ url }: Server): Promise<MariadbDatabase> {
  const name = `kts_${randomBytes(6).toString('hex')}`
  const connection = await createConnection(url)
  await connection.query(`CREATE DATABASE ${name} CHARACTER SET utf8mb4`)
  await connection.end()
  const own = new URL(url)
  own.pathname = `/${name}`
  // A pool of one connects again when the server was killed.
  const pool = createPool({ uri: own.href, connectionLimit: 1 })
  return {
    name,
    url: own.href,
    async sql(text, values = []) {
      const [rows] = await pool.query<RowDataPacket[]>(text, [...values])
      return rows
    },
    async urlFor(statements) {
      for (const statement of statements) await pool.query(statement.replace(/\bshop\b/g, name))
      const other = new URL(own)
      other.username = name
      other.password = 'password'
      return other.href
    },
    async drop() {
      await pool.query(`DROP DATABASE ${name}`)
      await pool.query(`DROP USER IF EXISTS '${name}'@'%'`)
      await pool.end()
    },
  }
}

/** Starts a server that only the caller uses, with further arguments. */
export async function privateMariadb(...more: readonly string[]): Promise<PrivateMariadb> {
  const running = await start(programWith(more))
  return {
    url: urlOf(running.port),
    port: running.port,
    socketPath: path.join(running.folder, 'socket'),
    stop: async () => running.stop(),
    kill: async () => running.kill(),
    restart: async () => running.restart(),
    freeze: () => freeze(running.pid),
    thaw: () => void process.kill(running.pid, 'SIGCONT'),
  }
}

function programWith(more: readonly string[]): Program {
  // As root it would refuse to run unless told so.
  const user = process.getuid?.() === 0 ? ['--user=root'] : []
  return {
    tool: tools.mariadb,
    async prepare(folder) {
      await writeFile(path.join(folder, 'setup.sql'), SETUP)
      const installer = await locate(tools.mariadbInstaller)
      const data = `--datadir=${path.join(folder, 'data')}`
      // Servers that share a folder for temporary tables delete each other's.
      const env = { ...process.env, TMPDIR: folder }
      await runCommand(installer, ['--no-defaults', data, '--skip-test-db', ...user], { env })
    },
    args: (port, folder) => [
      '--no-defaults',
      `--datadir=${path.join(folder, 'data')}`,
      `--socket=${path.join(folder, 'socket')}`,
      `--tmpdir=${folder}`,
      `--pid-file=${path.join(folder, 'pid')}`,
      `--init-file=${path.join(folder, 'setup.sql')}`,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      '--skip-name-resolve',
      // The tests end the process, never the machine: what the system has taken is safe enough.
      '--innodb-flush-log-at-trx-commit=2',
      '--max-connections=500',
      ...user,
      ...more,
    ],
    answers,
  }
}

/** Answers when our user and database are there. */
async function answers(port: number): Promise<void> {
  const connection: Connection = await createConnection({ uri: urlOf(port), connectTimeout: 5_000 })
  await connection.end()
}

function urlOf(port: number): string {
  return `mysql://${USER}:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}/${DATABASE}`
}
