import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import test from 'ava'
import { Client } from '../support/client.ts'

const [k1, k2] = [randomBytes(32).toString('base64url'), randomBytes(32).toString('base64url')]

/** Starts a process with these keys, which ends with the test. Returns its address. */
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

test('security 43 and F23: keys are changed step by step over two processes, no visitor is logged out, and a removed key opens nothing', async (t) => {
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
  // The two processes are always one step apart, and a load balancer sends each visitor to both.
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
    'a process that knows only the old key treats what the new one sealed as absent',
  )
  const old = first.client.cookies.get('sid') ?? ''
  t.is(await visit(first, 3), '1', 'and the other way round')
  t.not(first.client.cookies.get('sid'), old)
})
