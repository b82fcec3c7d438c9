import { createHash, randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import test from 'ava'
import Koa from 'koa'
import { session, type SessionOptions } from '../../src/index.ts'
import type { Entry } from '../../src/store.ts'
import { CookieStore } from '../../src/stores/cookie.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { serve } from '../support/client.ts'
import { Fuzz } from './fuzz-headers.ts'
import { allowLongRun } from '../support/long-run.ts'

const RUNS = Number(process.env['KTS_RUNS'] ?? 100_000)
const SEED = Number(process.env['KTS_SEED'] ?? Date.now() % 1_000_000)
const BATCH = 100

setFlagsFromString('--expose-gc')
const collect: unknown = runInNewContext('gc')

function heap(): number {
  if (typeof collect === 'function') collect()
  return process.memoryUsage().heapUsed
}

/** A memory store that records which keys are read, and counts what is created. */
class WatchedStore extends MemoryStore {
  readonly asked = new Set<string>()
  writes = 0

  override async read(key: string, extendTo?: number): Promise<Entry | undefined> {
    this.asked.add(key)
    return super.read(key, extendTo)
  }

  override async create(...args: Parameters<MemoryStore['create']>): ReturnType<MemoryStore['create']> {
    this.writes += 1
    return super.create(...args)
  }
}

/** Whether a text could be an ID, by the documented rules and without the library's code. */
function couldBeId(text: string): boolean {
  return text.length === 43 && Buffer.from(text, 'base64url').toString('base64url') === text
}

/** The keys that a store may be asked for, given what the client sent. */
function keysOf(candidates: readonly string[]): string[] {
  return candidates.filter(couldBeId).map((id) => createHash('sha256').update(id).digest('hex'))
}

const transports: Readonly<Record<string, SessionOptions<undefined, 'session'>>> = {
  cookie: {},
  header: { cookie: false, header: 'X-Session-ID' },
  query: { cookie: false, query: 'sid' },
  sealed: {},
}

for (const [transport, options] of Object.entries(transports)) {
  test.serial(
    `security 4, 5 and 10: ${RUNS} random and mutated IDs by ${transport} are served, and leave nothing behind`,
    async (t) => {
      t.log(`KTS_SEED=${SEED}`)
      allowLongRun(t, 180_000)
      const store = new WatchedStore()
      const sealed = transport === 'sealed'
      const sessions = session({
        ...options,
        store: sealed ? new CookieStore({ keys: [randomBytes(32)] }) : store,
      })
      const app = new Koa().use(sessions).use((ctx) => {
        if (ctx.path === '/in') ctx.session.set('user', 'ann')
        ctx.body = `<${String(ctx.session.get('user'))}>`
      })
      const { server, client } = await serve(t, app)
      const visitor = client()
      const inHeader = (await visitor.get('/in')).headers.get('x-session-id')
      const inCookie = visitor.cookies.get('sid')
      let held = inHeader ?? inCookie
      if (held === undefined) {
        const fresh = sessions.manager.begin().set('user', 'ann')
        await sessions.manager.commit(fresh)
        held = fresh.id
      }
      const real = held
      const [writes, count] = [store.writes, await store.count()]
      const fuzz = new Fuzz(SEED, real)
      const allowed = new Set<string>()
      const expected: boolean[] = []

      const request = (): string => {
        const [value, cookie] = [fuzz.value().replaceAll(/[\r\n\0]/g, ''), fuzz.cookie('sid')]
        let sent: readonly string[]
        let [path, headers] = ['/', '']
        if (transport === 'cookie' || sealed) {
          headers = `Cookie: ${cookie}\r\n`
          const pairs = cookie.split(';').map((pair) => pair.split('='))
          const values = pairs
            .filter(([name]) => name?.trim() === 'sid')
            .map(([, ...rest]) => rest.join('=').trim())
          // Three IDs are tried, and each sealed session: that costs no read of the store.
          const ids = [...new Set(values)].filter((id) => /^[\w-]{43,107}$/.test(id)).slice(0, 3)
          sent = sealed || values.length < 2 ? values : ids
        } else if (transport === 'header') {
          headers = `X-Session-ID: ${value}\r\nCookie: sid=${real}\r\n`
          sent = [value.trim()]
        } else {
          path = `/?a=1&sid=${encodeURIComponent(value).replaceAll('%25', '%')}`
          headers = `X-Session-ID: ${real}\r\n`
          sent = [new URLSearchParams(path.slice(2)).get('sid') ?? '']
        }
        for (const key of keysOf(sent)) allowed.add(key)
        expected.push(sent.includes(real))
        return `GET ${path} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`
      }

      const address = server.address()
      if (address === null || typeof address === 'string') throw new Error('not listening')
      const socket = connect(address.port, '127.0.0.1')
      const answers: string[] = []
      let text = ''
      let enough: () => void = () => {}
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1')
        for (let end = text.indexOf('>'); end !== -1; end = text.indexOf('>')) {
          answers.push(text.slice(0, end))
          text = text.slice(end + 1)
        }
        if (answers.length >= expected.length) enough()
      })
      let before = 0
      for (let made = 0; made < RUNS; made += BATCH) {
        if (made === BATCH * Math.floor(RUNS / BATCH / 10)) before = heap()
        const done = new Promise<void>((resolve, reject) => {
          enough = resolve
          socket.once('close', () =>
            reject(new Error(`the connection ended after ${answers.length} answers: ${text}`)),
          )
        })
        socket.write(Buffer.from(Array.from({ length: BATCH }, request).join(''), 'latin1'))
        await done
        socket.removeAllListeners('close')
        for (const [at, answer] of answers.entries()) {
          const known = answer.endsWith('<ann')
          if (
            !answer.startsWith('HTTP/1.1 200 ') ||
            known !== (expected[at] ?? false) ||
            /set-cookie/i.test(answer)
          ) {
            t.fail(`KTS_SEED=${SEED}, request ${made + at}: ${answer}`)
          }
        }
        answers.length = expected.length = 0
      }
      const grown = heap() - before
      t.true(grown < 16 * 1024 * 1024, `${grown} bytes`) // the recorded keys, and nothing else
      t.deepEqual(
        [...store.asked].filter((key) => !allowed.has(key)),
        [],
      )
      t.true(sealed || allowed.size > RUNS / 100)
      t.is(store.writes, writes)
      t.is(await store.count(), count)
      socket.destroy()
      t.is((await client().get('/')).status, 200)
    },
  )
}
