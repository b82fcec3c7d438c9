import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import type { Server } from './server.ts'

/** The reply to a command, as it goes over the wire: `+OK\r\n`. Without one the server says nothing. */
export type Reply = (command: readonly string[]) => string | undefined

/** Something that speaks the protocol of Redis and answers what it is told to. */
export async function startRedisStub(reply: Reply): Promise<Server> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    let pending = Buffer.alloc(0)
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk])
      for (let next = parse(pending); next !== undefined; next = parse(pending)) {
        pending = pending.subarray(next.length)
        const answer = reply(next.command)
        if (answer !== undefined) socket.write(answer)
      }
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    url: `redis://127.0.0.1:${address.port}`,
    stop: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** A string as Redis sends it. */
export function bulk(text: string): string {
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`
}

/** The first command of what has arrived, if it has arrived whole. */
function parse(data: Buffer): { command: readonly string[]; length: number } | undefined {
  let at = 0
  function number(): number | undefined {
    const end = data.indexOf('\r\n', at)
    if (end < 0) return undefined
    const value = Number(data.toString('latin1', at + 1, end)) // behind '*' or '$'
    at = end + 2
    return value
  }
  const command: string[] = []
  const count = number()
  if (count === undefined) return undefined
  while (command.length < count) {
    const size = number()
    if (size === undefined || data.length < at + size + 2) return undefined
    command.push(data.toString('utf8', at, at + size))
    at += size + 2
  }
  return { command, length: at }
}
