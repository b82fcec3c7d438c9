import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'

/** What clients sent to the server while `during` went on, as the server saw it: the names of the commands. */
export async function commandsDuring(
  server: Redis,
  during: () => Promise<unknown>,
): Promise<readonly string[]> {
  const seen: string[] = []
  const end = randomUUID()
  const monitor = await server.monitor()
  const ended = new Promise<void>((resolve) => {
    monitor.on('monitor', (_time: string, [name = '', ...args]: readonly string[], source: string) => {
      if (args.includes(end)) resolve()
      else if (source !== 'lua') seen.push(name.toLowerCase()) // what a script does itself is no command of a client
    })
  })
  await during()
  await server.echo(end)
  await ended
  monitor.disconnect()
  return seen
}
