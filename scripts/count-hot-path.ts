/**
 * `npm run hot-path`: how many files and functions of `src/` run for `session.set` and `session.commit` on Redis, which is what a
 * reader has to follow; and how many if the session is opened first. `-- --list` names each function.
 *
 * V8 tells what was called (precise coverage). The first three rounds are for what runs only once: the connection, the
 * scripts in Redis, the caches. The fourth is counted.
 */
import { Session as Inspector, type Profiler } from 'node:inspector/promises'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { Redis } from 'ioredis'
import { SessionManager } from '../src/session/manager.ts'
import { RedisStore } from '../src/stores/redis.ts'
import { startRedis } from '../test/servers/redis.ts'

const ROUNDS = 4
/** What the loader, which strips the types, adds to a file. */
const FROM_LOADER: ReadonlySet<string> = new Set(['__name'])

interface CalledFile {
  /** The path below `src/`. */
  readonly name: string
  readonly functions: readonly string[]
}

const source = `${pathToFileURL(path.resolve('src')).href}/`
const server = await startRedis()
const client = new Redis(server.url)
const manager = new SessionManager({ store: new RedisStore({ client }) })
const inspector = new Inspector()
inspector.connect()
await inspector.post('Profiler.enable')
await inspector.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })

const created = await manager.open()
created.set('user', 'user 0')
await created.commit()
const { id } = created

/** What the last of some rounds calls. */
async function calledIn(round: (user: string) => Promise<void>): Promise<readonly CalledFile[]> {
  for (let number = 1; number < ROUNDS; number += 1) await round(`user ${number}`)
  await take() // from here on is counted
  await round(`user ${ROUNDS}`)
  return take()
}

/** The files with functions that were called since the last time. */
async function take(): Promise<readonly CalledFile[]> {
  const { result } = await inspector.post('Profiler.takePreciseCoverage')
  return result
    .filter(({ url }) => url.startsWith(source))
    .map((script) => ({
      name: script.url.slice(source.length).replace(/\?.*$/, ''),
      functions: calledOf(script),
    }))
    .filter(({ functions }) => functions.length > 0)
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
}

function calledOf({ functions }: Profiler.ScriptCoverage): string[] {
  return functions
    .filter(({ functionName, ranges }) => (ranges[0]?.count ?? 0) > 0 && !FROM_LOADER.has(functionName))
    .map(({ functionName, ranges }) => `${functionName || '(anonymous)'} × ${ranges[0]?.count ?? 0}`)
}

function report(what: string, files: readonly CalledFile[]): string {
  const lines = process.argv.includes('--list')
    ? files.map(({ name, functions }) => [`${name}: ${functions.length}`, ...functions].join('\n  '))
    : []
  const sum = files.reduce((count, { functions }) => count + functions.length, 0)
  return [...lines, `${what}: ${files.length} files, ${sum} functions`].join('\n')
}

const session = await manager.open(id)
const setAndCommit = await calledIn(async (user) => {
  session.set('user', user)
  await session.commit()
})
const openToo = await calledIn(async (user) => {
  const opened = await manager.open(id)
  opened.set('user', user)
  await opened.commit()
})
console.log(`${report('set and commit', setAndCommit)}\n${report('open, set and commit', openToo)}`)

inspector.disconnect()
await manager.close()
await client.quit()
await server.stop()
