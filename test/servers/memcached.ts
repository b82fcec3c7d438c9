import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { hostname } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { locate, tools } from './packages.ts'
import { start, type Running, type Server } from './server.ts'

/** A private memcached. */
export interface Memcached extends Server {
  readonly port: number
  readonly pid: number
}

/** How a private memcached differs from the usual. */
export interface MemcachedOptions {
  /** Instead of a free one: that of a server which was stopped. */
  readonly port?: number
  readonly args?: readonly string[]
}

/** As root it wants to be told who to be. */
const identity = process.getuid?.() === 0 ? ['-u', 'root'] : []

function listeningAt(port: number): readonly string[] {
  return ['-p', String(port), '-l', '127.0.0.1', '-U', '0', ...identity]
}

/** The server of the test run, `MEMCACHE_URL`, or a private one. */
export async function memcachedServer(): Promise<Server & { readonly port: number }> {
  const url = process.env['MEMCACHE_URL'] ?? ''
  if (url === '') return startMemcached()
  const port = Number(new URL(url.includes('://') ? url : `memcache://${url}`).port)
  return { url, port, stop: async () => undefined }
}

/** Starts a memcached of 64 MiB. */
export async function startMemcached(options: MemcachedOptions = {}): Promise<Memcached> {
  return memcached(
    await start({
      tool: tools.memcached,
      ...(options.port !== undefined && { port: options.port }),
      args: (port) => [...listeningAt(port), ...(options.args ?? [])],
    }),
  )
}

function memcached({ port, pid, stop }: Running): Memcached {
  return { url: `memcache://127.0.0.1:${port}`, port, pid, stop: async () => stop() }
}

/** Starts a memcached that only this user may use. */
export async function startMemcachedWithUser(username: string, password: string): Promise<Memcached> {
  const setPassword = await locate(tools.saslPassword)
  await locate(tools.saslPlain)
  const running = await start({
    tool: tools.memcached,
    prepare: async (at) => {
      const folder = path.join(at, 'sasl')
      await mkdir(folder)
      const database = path.join(folder, 'db')
      await writeFile(
        path.join(folder, 'memcached.conf'),
        `mech_list: plain\nsasldb_path: ${database}\npwcheck_method: auxprop\nauxprop_plugin: sasldb\n`,
      )
      // Who names no realm is of the realm that bears the name of the machine.
      const adding = promisify(execFile)(setPassword, [
        '-p',
        '-c',
        '-u',
        hostname(),
        '-f',
        database,
        username,
      ])
      adding.child.stdin?.end(password)
      await adding
    },
    env: (at) => ({ SASL_CONF_PATH: path.join(at, 'sasl') }),
    args: (port) => ['-S', ...listeningAt(port)],
  })
  return memcached(running)
}

/** What one memcached holds and has done, seen from outside of any store: by its text protocol. A character is a byte. */
export class MemcachedConsole {
  readonly #port: number

  constructor(port: number) {
    this.#port = port
  }

  /** The counters of `stats`. */
  async stats(): Promise<ReadonlyMap<string, number>> {
    const text = await this.#ask('stats')
    return new Map(
      Array.from(text.matchAll(/^STAT (\S+) (\d+)\r$/gm), ([, name = '', n]) => [name, Number(n)]),
    )
  }

  /** What stands under a key: the value and its flags. */
  async look(key: string): Promise<{ readonly flags: number; readonly value: string } | undefined> {
    const [, flags, value] = /^VA \d+ f(\d+)\r\n(.*)\r\nMN\r\n$/s.exec(await this.#ask(`mg ${key} f v`)) ?? []
    return value === undefined ? undefined : { flags: Number(flags), value }
  }

  /** In how many seconds memcached drops what stands under a key. */
  async secondsLeft(key: string): Promise<number | undefined> {
    const [, seconds] = /^HD t(\d+)\r\n/.exec(await this.#ask(`mg ${key} t`)) ?? []
    return seconds === undefined ? undefined : Number(seconds)
  }

  /** Puts something under a key, whatever stands there. */
  async put(key: string, flags: number, expiry: number, value: string): Promise<void> {
    await this.#ask(`ms ${key} ${value.length} F${flags} T${expiry}\r\n${value}`)
  }

  /** Makes the items under these keys `seconds` older: memcached ends them so much sooner, and so do their flags. */
  async age(keys: Iterable<string>, seconds: number): Promise<void> {
    const now = Math.floor(Date.now() / 1_000)
    for (const key of keys) {
      const item = await this.look(key)
      if (item === undefined) continue
      const end = item.flags - seconds
      if (end + 3 > now) await this.put(key, end, end + 3, item.value)
      else await this.#ask(`md ${key}`)
    }
  }

  async flush(): Promise<void> {
    await this.#ask('flush_all')
  }

  /** The answer to a command. An empty command of the meta protocol marks the end of it. */
  async #ask(command: string): Promise<string> {
    const socket = connect(this.#port, '127.0.0.1').setEncoding('latin1')
    socket.write(`${command}\r\nmn\r\n`, 'latin1')
    let answer = ''
    for await (const chunk of socket) {
      answer += String(chunk)
      if (answer.endsWith('MN\r\n')) break
    }
    return answer
  }
}
