import { writeFileSync } from 'node:fs'
import { chown, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { Client } from 'pg'
import { serverIdentity } from './postgres.ts'
import { tools } from './packages.ts'
import { start, type Server } from './server.ts'

/** Starts a PgBouncer before a database, in transaction mode and with a single connection behind it. */
export async function startPgBouncer(databaseUrl: string): Promise<Server> {
  const target = new URL(databaseUrl)
  const [user, password] = [target.username, decodeURIComponent(target.password)]
  const urlAt = (port: number): string => {
    const url = new URL(databaseUrl)
    url.port = String(port)
    return url.href
  }
  const identity = await serverIdentity()
  const settings = (port: number, folder: string): string => `
[databases]
* = host=${target.hostname} port=${target.port} user=${user} password='${password}'
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = plain
auth_file = ${path.join(folder, 'users')}
pool_mode = transaction
default_pool_size = 1
max_client_conn = 200
`
  const running = await start({
    tool: tools.pgbouncer,
    args: (port, folder) => {
      const file = path.join(folder, 'pgbouncer.ini')
      writeFileSync(file, settings(port, folder))
      return [file]
    },
    ...identity,
    prepare: async (folder) => {
      await writeFile(path.join(folder, 'users'), `"${user}" "${password}"\n`)
      if ('uid' in identity) await chown(folder, identity.uid, identity.gid)
    },
    answers: async (port) => {
      const client = new Client({ connectionString: urlAt(port) })
      client.on('error', () => undefined)
      await client.connect()
      await client.end()
    },
  })
  return { url: urlAt(running.port), stop: async () => running.stop() }
}
