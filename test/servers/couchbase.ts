import { existsSync } from 'node:fs'
import { mkdir, rename } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { runCommand, temporaryFolder } from '../support/cleanup.ts'
import { locate, tools } from './packages.ts'
import { start, type Server } from './server.ts'

/** A private CouchbaseMock, Couchbase's own server for tests. It keeps everything in memory. */
export interface CouchbaseMock extends Server {
  readonly pid: number
  /** The port of the manager, which speaks HTTP. */
  readonly managerPort: number
  /** The port of the one node, which speaks the protocol of drivers. */
  readonly port: number
  /** Sends all documents forward in time. */
  travel(seconds: number): Promise<void>
  /** Has the next `count` commands fail with a status of the protocol. */
  fail(status: number, count: number): Promise<void>
  /** Holds back every answer for so many ms, until it is told 0. */
  hold(ms: number): Promise<void>
  /** How many commands for documents have come by now. */
  commands(): Promise<number>
}

const VERSION = '1.5.27'
const cache = fileURLToPath(new URL('../../.cache/', import.meta.url))

/** Small, and soon there. */
const virtualMachine = ['-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']
const cluster =
  '--host 127.0.0.1 --nodes 1 --replicas 0 --vbuckets 64 --cccp --buckets default:,guarded:sword'.split(' ')

/** The opcodes by which documents are read and written. */
const DOCUMENT = new Set(['0', '1', '2', '3', '4', '28', '29'])

/** The server of the test run, `COUCHBASE_URL`, or a private mock. */
export async function couchbaseServer(): Promise<Server | CouchbaseMock> {
  const url = process.env['COUCHBASE_URL'] ?? ''
  return url === '' ? startCouchbaseMock() : { url, stop: async () => undefined }
}

/**
 * Starts a mock of one node with the bucket `default`, for the user `Administrator` with the password `password`, and the
 * bucket `guarded`, for the user `guarded` with the password `sword`. Its manager looks at passwords, its node does not.
 */
export async function startCouchbaseMock(): Promise<CouchbaseMock> {
  const jar = await couchbaseMockJar()
  const running = await start({
    tool: tools.java,
    args: (port) => [...virtualMachine, '-jar', jar, '--port', String(port), ...cluster],
    answers: async (port) => void (await nodePort(port)),
  })
  const log = { bucket: 'default', idx: 0 }
  const manager = `http://127.0.0.1:${running.port}`
  const port = await nodePort(running.port)
  async function control(command: string, payload: object): Promise<unknown> {
    const query = new URLSearchParams(
      Object.entries(payload).map(([name, value]): [string, string] => [
        name,
        typeof value === 'string' ? value : JSON.stringify(value),
      ]),
    )
    const response = await fetch(`${manager}/mock/${command}?${query.toString()}`)
    const answer: unknown = await response.json()
    if (typeof answer === 'object' && answer !== null && 'status' in answer && answer.status === 'ok')
      return answer
    throw new Error(`the mock refused ${command}: ${JSON.stringify(answer)}`)
  }
  await control('start_cmdlog', log)
  return {
    url: `couchbase://Administrator:password@127.0.0.1:${port}/default`,
    pid: running.pid,
    managerPort: running.port,
    port,
    stop: async () => running.stop(),
    travel: async (seconds) => void (await control('time_travel', { Offset: seconds })),
    fail: async (code, count) =>
      void (await control('opfail', { code, count, servers: [0], bucket: 'default' })),
    hold: async (msecs) => void (await control('hiccup', { msecs, offset: 0 })),
    commands: async () => {
      const answer = await control('get_cmdlog', log)
      const opcodes = JSON.stringify(answer).matchAll(/"opcode":(-?\d+)/g)
      return [...opcodes].filter(([, opcode = '']) => DOCUMENT.has(opcode)).length
    },
  }
}

/** The port at which the node of the mock serves documents; fails until it does. */
async function nodePort(managerPort: number): Promise<number> {
  const authorization = `Basic ${btoa('Administrator:password')}`
  const url = `http://127.0.0.1:${managerPort}/pools/default/buckets/default`
  const text = await (await fetch(url, { headers: { authorization } })).text()
  return Number(/"direct":(\d+)/.exec(text)?.[1] ?? Number.NaN)
}

/** The path of the mock, which is one file, brought by Maven the first time. */
export async function couchbaseMockJar(): Promise<string> {
  const jar = path.join(cache, `CouchbaseMock-${VERSION}.jar`)
  if (existsSync(jar)) return jar
  await locate(tools.java)
  const maven = await locate(tools.maven)
  await mkdir(cache, { recursive: true })
  const folder = await temporaryFolder('mock-', cache)
  try {
    const artifact = `-Dartifact=com.couchbase.mock:CouchbaseMock:${VERSION}`
    const goal = ['-q', '-B', 'dependency:copy', artifact, `-DoutputDirectory=${folder}`]
    await runCommand(maven, goal, { cwd: folder })
    await rename(path.join(folder, path.basename(jar)), jar) // whole, even if others fetch it too
  } catch (cause) {
    const what = `com.couchbase.mock:CouchbaseMock:${VERSION} cannot be fetched from Maven Central`
    throw new Error(`${what}; put it into .cache, or name a server by COUCHBASE_URL`, { cause })
  }
  return jar
}
