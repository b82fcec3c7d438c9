import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import test from 'ava'

const run = promisify(execFile)

/** Prints how many bytes of old space a request adds, as JSON: without sessions, with them, and with a leak made on purpose. */
const program = `
  import http from 'node:http'
  import { once } from 'node:events'
  import v8 from 'node:v8'
  import Koa from 'koa'
  import { session } from './src/index.ts'

  const REQUESTS = 1_000
  const none = (ctx, next) => next()
  const leaking = (ctx, next) => {
    ctx.state.told = { told: undefined }
    ctx.state.told.told = () => ctx
    return next()
  }
  const old = () => v8.getHeapSpaceStatistics().find((space) => space.space_name === 'old_space').space_used_size

  async function growth(middleware) {
    const app = new Koa()
    app.use(middleware)
    app.use((ctx) => { ctx.body = String(ctx.session?.update('visits', (n = 0) => n + 1)) })
    const server = app.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    let cookie
    async function visit() {
      const headers = cookie === undefined ? {} : { cookie }
      const request = http.get({ port: server.address().port, host: '127.0.0.1', agent, headers })
      const [response] = await once(request, 'response')
      cookie ??= response.headers['set-cookie']?.[0].split(';')[0]
      response.resume()
      await once(response, 'end')
    }
    for (let i = 0; i < 500; i += 1) await visit()
    gc()
    const before = old()
    for (let i = 0; i < REQUESTS; i += 1) await visit()
    return (old() - before) / REQUESTS
  }
  console.log(JSON.stringify({
    without: await growth(none), with: await growth(session()), leaking: await growth(leaking),
  }))
  process.exit()`

/**
 * V8 makes a closure that is assigned to a property (`state.told = () => …`) in old space, where it keeps everything that it
 * refers to alive until the next full collection: whole requests, with the buffers of their sockets. So no such closure may
 * outlive its request. Not optimised, as V8 runs code at first, since the optimiser hides some of it by chance.
 */
test('a request leaves nothing on the heap that only a full garbage collection removes', async (t) => {
  const flags = ['--import=tsx', '--input-type=module', '--expose-gc', '--no-opt']
  const { stdout } = await run(process.execPath, [...flags, '--initial-old-space-size=512', '-e', program])
  // The program prints exactly this.
  const bytes = JSON.parse(stdout) as { without: number; with: number; leaking: number }
  t.log('bytes of old space per request', bytes)
  t.true(bytes.without < bytes.leaking / 5, 'a leak shows in this measurement')
  t.true(bytes.with < bytes.leaking / 5, 'sessions leak')
})
