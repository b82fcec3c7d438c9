import type { Redis } from 'ioredis'

/**
 * Lets go of a client as soon as the sentinels name another primary. The old one, if it lives, is told only seconds later:
 * until then it would take writes, and lose them. (The driver's own detector writes to the console when a sentinel dies.)
 */
export function leaveAtFailover(client: Redis, master: string, listen: () => readonly Redis[]): void {
  let listeners: readonly Redis[] = []
  client.once('ready', () => {
    listeners = listen()
    for (const listener of listeners) {
      listener.on('error', () => undefined) // one sentinel is enough, and this one is tried again
      listener.on('message', (_channel: string, text: string) => {
        if (text.startsWith(`${master} `)) client.disconnect()
      })
      listener.subscribe('+switch-master').catch(() => undefined)
    }
  })
  client.once('end', () => {
    for (const listener of listeners) listener.disconnect()
  })
}
