import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** A way to a PostgreSQL that can refuse new connections, as the server itself does. */
export interface PostgresGate {
  readonly port: number
  /** How many connections were refused. */
  readonly refused: number
  /** From now on the next `times` connections are answered with this SQLSTATE. Those that there are stay. */
  refuse(code: string, times?: number): void
  /** From now on every connection is let through. */
  admit(): void
  stop(): Promise<void>
}

/** Starts a gate before the server at `to`. Connections through it are not encrypted. */
export async function startPostgresGate(to: number): Promise<PostgresGate> {
  let [code, left, refused] = ['', 0, 0]
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    client.on('error', () => undefined)
    sockets.add(client)
    client.on('close', () => sockets.delete(client))
    if (left > 0) {
      left -= 1
      refused += 1
      // The client sends its first message before it is told.
      client.once('data', () => client.end(errorResponse(code)))
      return
    }
    const upstream = connect(to, '127.0.0.1')
    upstream.on('error', () => client.destroy())
    client.on('close', () => upstream.destroy())
    client.pipe(upstream).pipe(client)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    port: address.port,
    get refused() {
      return refused
    },
    refuse(next, times = Infinity) {
      ;[code, left] = [next, times]
    },
    admit() {
      left = 0
    },
    async stop() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** The message with which a server ends a connection. */
function errorResponse(code: string): Buffer {
  const fields = `SFATAL\0VFATAL\0C${code}\0Mrefused as in a test\0\0`
  const length = Buffer.alloc(4)
  length.writeInt32BE(4 + Buffer.byteLength(fields))
  return Buffer.concat([Buffer.from('E'), length, Buffer.from(fields)])
}
