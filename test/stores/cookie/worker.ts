// One process of a site on the cookie engine: `worker.ts <keys as JSON>`; its port is the first line that it prints.
import Koa from 'koa'
import { session } from '../../../src/index.ts'

const providerConfig = JSON.stringify({ keys: JSON.parse(process.argv[2] ?? '[]') })
const koa = new Koa().use(session({ provider: 'cookie', providerConfig }))
koa.use((ctx) => {
  ctx.body = String(ctx.session.update('n', (n = 0) => n + 1))
})
const server = koa.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address === 'object') console.log(String(address.port))
})
