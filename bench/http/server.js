// One server of the bench, in a process of its own: `node server.js <kind> <engine> [url]`. Tells its port, and its counters when asked.
import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'

const [, , kind, engine, url] = process.argv
const { start } = await import(`./kinds/${kind}.js`)
const server = await start(engine, url)
const sockets = new Set()
server.on('connection', (socket) => {
  sockets.add(socket)
  socket.setNoDelay(true)
})
if (!server.listening) await once(server, 'listening')

process.on('message', () => void tell())
process.on('disconnect', () => process.exit())
process.send(server.address().port)

async function tell() {
  await turn() // what the last request left to do belongs to it
  const { user, system } = process.cpuUsage()
  let [received, sent] = [0, 0]
  for (const { bytesRead, bytesWritten } of sockets) {
    received += bytesRead
    sent += bytesWritten
  }
  process.send({ cpu: user + system, received, sent })
}
