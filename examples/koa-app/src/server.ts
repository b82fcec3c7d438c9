import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createApp } from './app.ts'
import { createSessions } from './sessions.ts'

/** How long in-flight requests may take to finish at shutdown, in ms. */
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
  // Connects now, so that a store that cannot be reached fails the start instead of the first request.
  await sessions.manager.ready()

  const server = createApp(sessions).listen(Number(env['PORT'] ?? 3000), env['HOST'] ?? 'localhost')
  await once(server, 'listening')
  // A server that listens on a port has an address with a port.
  const { port } = server.address() as AddressInfo
  console.log(`The shop is open: http://localhost:${port} (sessions: ${sessions.manager.traits.name})`)

  // In-flight requests need the store for their commits, so the store is closed last.
  const close = async (): Promise<void> => {
    server.close()
    // Browsers keep idle connections open, which would delay the shutdown.
    const timer = setTimeout(() => server.closeAllConnections(), GRACE_MS)
    await once(server, 'close')
    clearTimeout(timer)
    await sessions.manager.close()
    console.log('The shop is closed.')
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void close())
}
