import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createApp } from './app.ts'
import { createSessions } from './sessions.ts'

/** How long requests that are under way may take to finish when the shop closes. */
const GRACE_MS = 3_000

try {
  await open(process.env)
} catch (error) {
  const reasons = error instanceof Error ? [error.message, error.cause] : [error]
  console.error('The shop cannot open:', ...reasons.filter((reason) => reason !== undefined))
  process.exitCode = 1
}

async function open(env: NodeJS.ProcessEnv): Promise<void> {
  const sessions = createSessions(env)
  // Connects now: an engine that cannot be reached should stop the start, not the first visitor.
  await sessions.manager.ready()

  const server = createApp(sessions).listen(Number(env['PORT'] ?? 3000), env['HOST'] ?? 'localhost')
  await once(server, 'listening')
  // A server that listens on a port has an address with a port.
  const { port } = server.address() as AddressInfo
  console.log(`The shop is open: http://localhost:${port} (sessions: ${sessions.manager.traits.name})`)

  // Lets the requests that are under way finish; their commits need the store, so that closes last.
  const close = async (): Promise<void> => {
    server.close()
    // Browsers hold connections in reserve on which they ask for nothing; nobody waits for those.
    const timer = setTimeout(() => server.closeAllConnections(), GRACE_MS)
    await once(server, 'close')
    clearTimeout(timer)
    await sessions.manager.close()
    console.log('The shop is closed.')
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void close())
}
