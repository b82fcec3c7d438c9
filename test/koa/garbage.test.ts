import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import test from 'ava'

const run = promisify(execFile)
const REQUESTS = 2_000

/**
 * V8 makes a closure that is assigned to a property (`state.told = () => …`) in old space, where it keeps all that it knows
 * alive until the next full collection: whole requests, with their sockets' buffers. What outlives its request is the cost
 * of every request, so nothing may. Unoptimised, as V8 runs it first, since the optimiser hides some of it by chance.
 */
test('a request leaves nothing behind that a quick garbage collection could not clear away', async (t) => {
  const program = `
    import http from 'node:http'
    import { once } from 'node:events'
    import v8 from 'node:v8'
    import Koa from 'koa'
    import { session } from './src/index.ts'

    const app = new Koa()
    app.use(session())
    app.use((ctx) => { ctx.body = String(ctx.session.update('visits', (n = 0) => n + 1)) })
    const server = app.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    let cookie
    async function visit() {
      const headers = cookie === undefined ? {} : { cookie }
      const request = http.get({ port: server.address().port, host: '127.0.0.1', agent, headers })
      const [response] = await once(request, 'response')
      cookie ??= response.headers['set-cookie'][0].split(';')[0]
      response.resume()
      await once(response, 'end')
    }
    const old = () => v8.getHeapSpaceStatistics().find((space) => space.space_name === 'old_space').space_used_size
    for (let i = 0; i < 500; i += 1) await visit()
    gc()
    const before = old()
    for (let i = 0; i < ${REQUESTS}; i += 1) await visit()
    console.log(old() - before)
    process.exit()`
  const flags = [
    '--import=tsx',
    '--input-type=module',
    '--expose-gc',
    '--no-opt',
    '--initial-old-space-size=512',
  ]
  const { stdout } = await run(process.execPath, [...flags, '-e', program])
  const bytes = Number(stdout) / REQUESTS
  t.log(`${bytes.toFixed(0)} bytes of old space per request`)
  t.true(bytes < 400, `${bytes} bytes of old space per request`)
})
