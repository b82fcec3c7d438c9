import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import test from 'ava'

const run = promisify(execFile)
const REQUESTS = 2_000

/**
 * V8 allocates a closure that is assigned to a property (`state.told = () => …`) in old space. Until the next full collection it
 * keeps its whole context alive: the request with the buffers of its socket. No object of a request may stay in old space.
 * Runs without the optimising compiler, which avoids some of these allocations.
 */
test('a young-generation collection frees every object of a finished request', async (t) => {
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
    async function request() {
      const headers = cookie === undefined ? {} : { cookie }
      const sent = http.get({ port: server.address().port, host: '127.0.0.1', agent, headers })
      const [response] = await once(sent, 'response')
      cookie ??= response.headers['set-cookie'][0].split(';')[0]
      response.resume()
      await once(response, 'end')
    }
    const old = () => v8.getHeapSpaceStatistics().find((space) => space.space_name === 'old_space').space_used_size
    for (let i = 0; i < 500; i += 1) await request()
    gc()
    const before = old()
    for (let i = 0; i < ${REQUESTS}; i += 1) await request()
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
