import { randomBytes } from 'node:crypto'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { setImmediate as others } from 'node:timers/promises'
import test from 'ava'
import Koa from 'koa'
import { session, type SessionOptions } from '../../src/index.ts'
import { redisServer } from '../servers/redis.ts'
import { serve } from '../support/client.ts'

const CLIENTS = 200
const REQUESTS = 50

/** Starts an engine. */
const opened: Readonly<
  Record<string, () => Promise<[SessionOptions<undefined, 'session'>, () => Promise<void>]>>
> = {
  memory: async () => [{}, async () => {}],
  redis: async () => {
    const { url, stop } = await redisServer()
    return [{ provider: 'redis', providerConfig: url }, stop]
  },
  cookie: async () => {
    const keys = [randomBytes(32).toString('base64url')]
    return [{ provider: 'cookie', providerConfig: JSON.stringify({ keys }) }, async () => {}]
  },
}

/** Sends requests on one connection without waiting for answers in between. Resolves with everything that was received. */
async function pipelined(port: number, cookie: string, paths: readonly string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let text = ''
  socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\nCookie: ${cookie}\r\n\r\n`).join(''))
  return new Promise((resolve, reject) => {
    socket.on('error', reject)
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      if (text.split('</end>').length <= paths.length) return
      socket.destroy()
      resolve(text)
    })
  })
}

/** One request on a kept connection; with `abort` the client disconnects as soon as it has sent it. */
async function kept(
  agent: Agent,
  port: number,
  cookie: string,
  path: string,
  abort: boolean,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ agent, port, host: '127.0.0.1', path, headers: { cookie } }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve(text))
    })
    sent.on('error', (error) => (abort ? resolve('') : reject(error)))
    sent.end(() => abort && setImmediate(() => sent.destroy()))
  })
}

for (const [engine, open] of Object.entries(opened)) {
  test.serial(
    `security 40: of ${CLIENTS} clients with ${REQUESTS} requests at once no client sees another's secret: ${engine}`,
    async (t) => {
      const [options, stop] = await open()
      t.teardown(stop)
      const sessions = session(options)
      t.teardown(async () => sessions.manager.close())
      const app = new Koa().use(sessions).use(async (ctx) => {
        const { key, secret } = ctx.query
        const mine = ctx.session
        await others()
        if (typeof secret === 'string') mine.set('secret', secret)
        if (typeof key === 'string') mine.set(key, mine.get('secret'))
        await others()
        ctx.body = `<${JSON.stringify(Object.fromEntries(ctx.session.entries()))}></end>`
      })
      const { server, client } = await serve(t, app)
      const address = server.address()
      if (address === null || typeof address === 'string') throw new Error('not listening')
      const { port } = address
      const agent = new Agent({ keepAlive: true, maxSockets: 64 })
      t.teardown(() => agent.destroy())

      const visitors = Array.from({ length: CLIENTS }, () => ({
        jar: client(),
        secret: randomBytes(12).toString('hex'),
      }))
      const secrets = new Set(visitors.map(({ secret }) => secret))
      await Promise.all(visitors.map(async ({ jar, secret }) => jar.get(`/?secret=${secret}`)))
      let seen = 0
      await Promise.all(
        visitors.map(async ({ jar, secret }, at) => {
          const cookie = [...jar.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
          const paths = Array.from({ length: REQUESTS }, (_, index) => `/?key=k${index}`)
          const answers =
            at % 2 === 0
              ? [await pipelined(port, cookie, paths)]
              : await Promise.all(
                  paths.map(async (path, index) => kept(agent, port, cookie, path, index % 5 === 4)),
                )
          for (const found of answers.join('').matchAll(/[0-9a-f]{24}/g)) {
            seen += 1
            if (found[0] !== secret && secrets.has(found[0])) t.fail('the secret of another client')
          }
        }),
      )
      t.true(seen > CLIENTS * REQUESTS)
      if (sessions.manager.traits.location === 'client') return
      for (const { jar, secret } of visitors.filter((_, at) => at % 2 === 0)) {
        // Nothing was lost either: all keys of all those requests are there.
        t.is((await jar.get('/')).text.split(secret).length - 1, REQUESTS + 1)
      }
    },
  )
}
