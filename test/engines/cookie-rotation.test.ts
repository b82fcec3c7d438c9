import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import test from 'ava'
import { Client } from '../support/client.ts'

const [k1, k2] = [randomBytes(32).toString('base64url'), randomBytes(32).toString('base64url')]

/** A process with these keys, until the test ends; the address at which it serves. */
async function processWith(t: { teardown(end: () => void): void }, keys: readonly string[]): Promise<string> {
  const child = spawn(
    process.execPath,
    ['--import=tsx', 'test/stores/cookie/worker.ts', JSON.stringify(keys)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  t.teardown(() => child.kill('SIGKILL'))
  const [port] = await once(child.stdout.setEncoding('utf8'), 'data')
  return `http://127.0.0.1:${String(port).trim()}`
}

test('security 43 and F23: keys are changed step by step over two processes, nobody is logged out, and a removed key opens nothing', async (t) => {
  const rings = [[k1], [k1, k2], [k2, k1], [k2]]
  const sites = await Promise.all(rings.map(async (keys) => processWith(t, keys)))
  const visitors = Array.from({ length: 5 }, () => ({ client: new Client(''), seen: 0 }))
  const visit = async (visitor: (typeof visitors)[number], step: number): Promise<string> => {
    const at = new Client(sites[step] ?? '')
    for (const [name, value] of visitor.client.cookies) at.cookies.set(name, value)
    const { text } = await at.get('/')
    visitor.client = at
    return text
  }
  // At each moment two processes are a step apart, and a balancer sends everybody to both.
  for (const steps of [
    [0, 0],
    [0, 1],
    [1, 2],
    [2, 1],
    [2, 2],
    [2, 3],
    [3, 2],
    [3, 3],
  ]) {
    for (const step of steps) {
      for (const visitor of visitors) t.is(await visit(visitor, step), String((visitor.seen += 1)))
    }
  }
  const [first] = visitors
  if (first === undefined) return
  t.is(
    await visit(first, 0),
    '1',
    'a process that knows only the old key takes what the new one sealed for nobody',
  )
  const old = first.client.cookies.get('sid') ?? ''
  t.is(await visit(first, 3), '1', 'and the other way round')
  t.not(first.client.cookies.get('sid'), old)
})
