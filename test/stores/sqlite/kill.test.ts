// `npm run kills:sqlite` kills a thousand processes at random instants.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import test from 'ava'
import { SqliteStore } from '../../../src/stores/sqlite.ts'
import { temporaryFolder } from '../../support/cleanup.ts'
import { allowLongRun } from '../../support/long-run.ts'
import { Children } from '../file/child.ts'
import { acts, NEW, OLD, START, HOUR, type Act } from './acts.ts'
import { openClient, query } from './drivers.ts'

const KILLS = Number(process.env['KTS_KILLS'] ?? 5)

const base = await temporaryFolder('kts-sqlite-kill-')
let children: Children
test.before(async () => {
  children = await Children.compile(base, 'test/stores/sqlite', ['victim', 'writer'])
})

let folders = 0
async function fileName(): Promise<string> {
  const folder = path.join(base, `folder-${(folders += 1)}`)
  await fs.mkdir(folder, { mode: 0o700 })
  return path.join(folder, 'sessions.db')
}

function storeAt(file: string, now: number): SqliteStore {
  return new SqliteStore({ path: file, sync: false, now: () => now })
}

/** What another process finds, after the database was found to be whole. */
async function found(file: string, now: number): Promise<readonly (string | undefined)[]> {
  const client = openClient(file)
  const [row] = query(client, 'PRAGMA integrity_check')
  client.close()
  if (Object(row).integrity_check !== 'ok') throw new Error('the database is damaged')
  const store = storeAt(file, now)
  const entries = await Promise.all(['a', 'b', 'c'].map(async (key) => store.read(key)))
  await store.close()
  return entries.map((entry) => entry?.payload)
}

/** Kills a process at one call of the driver. `undefined` if the act has fewer calls. */
async function kill(
  name: string,
  act: Act | undefined,
  step: number,
  mode: string,
): Promise<readonly (string | undefined)[] | undefined> {
  const file = await fileName()
  if (act !== undefined) {
    const store = storeAt(file, act.now - HOUR)
    await store.open()
    await act.prepare(store)
    await store.close()
  }
  const { signal, code, stderr } = await children.run('victim', file, name, String(step), mode)
  if (signal === undefined && code !== 0) throw new Error(stderr)
  if (signal !== 'SIGKILL') return undefined
  const seen = await found(file, act?.now ?? START)
  const store = storeAt(file, act?.now ?? START)
  await store.create('d', NEW, START + 48 * HOUR)
  await store.destroy('d')
  await store.close()
  return seen
}

for (const [name, act] of Object.entries(acts)) {
  test(`F12: killed at any call of the driver within ${name}, the database has the old or the new, never a part`, async (t) => {
    let hasChanged = false
    for (let step = 0; ; step += 1) {
      // Before a call is as good as after the one before it.
      const seen = step === 0 ? await kill(name, act, 1, 'before') : await kill(name, act, step, 'after')
      if (seen === undefined) return t.true(step > 1)
      const isNew = JSON.stringify(seen) === JSON.stringify(act.after)
      if (!isNew) t.deepEqual(seen, act.before)
      t.true(isNew || !hasChanged, 'what was there stays there')
      hasChanged ||= isNew && JSON.stringify(act.before) !== JSON.stringify(act.after)
    }
  })
}

test('F12: killed at any call of the driver while it opens a new database, the next process opens it', async (t) => {
  for (let step = 1; ; step += 1) {
    const outcome = await kill('open', undefined, step, 'after')
    if (outcome === undefined) return t.true(step > 5)
    t.deepEqual(outcome, [undefined, undefined, undefined])
  }
})

test('F12: whatever length the log was cut to, the session is its old or its new self', async (t) => {
  const file = await fileName()
  const store = storeAt(file, START)
  await store.create('a', OLD, START + HOUR)
  await store.close()
  const old = await fs.readFile(file)
  const writer = storeAt(file, START)
  const entry = await writer.read('a')
  if (entry === undefined) return t.fail()
  await writer.replace('a', NEW, START + HOUR, entry)
  const log = await fs.readFile(`${file}-wal`)
  await writer.close()
  let isNew = false
  const lengths = [...Array.from({ length: Math.ceil(log.length / 256) }, (_, at) => at * 256), log.length]
  for (const length of lengths) {
    const copy = await fileName()
    await fs.writeFile(copy, old, { mode: 0o600 })
    await fs.writeFile(`${copy}-wal`, log.subarray(0, length), { mode: 0o600 })
    const [payload] = await found(copy, START)
    t.is(payload, payload === NEW || isNew ? NEW : OLD, `${length} bytes`)
    isNew = payload === NEW
  }
  return t.true(isNew)
})

test(`F12: of ${KILLS} processes that are killed at random instants none loses what it has acknowledged`, async (t) => {
  allowLongRun(t, 3_600_000)
  const file = await fileName()
  const first = storeAt(file, START)
  await first.open()
  await first.close()
  let acknowledged = 0
  for (let kills = 0; kills < KILLS; kills += 1) {
    const child = spawn(process.execPath, children.command('writer', file), {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let said = ''
    let error = ''
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    child.stderr.on('data', (chunk: Buffer) => (error += chunk.toString()))
    const ended = once(child, 'close')
    await Promise.race([once(child.stdout, 'data'), ended])
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 60))
    child.kill('SIGKILL')
    const [code] = await ended
    t.is(code, null, error)
    const last = Number(said.slice(0, said.lastIndexOf('\n')).split('\n').at(-1))
    t.true(last > acknowledged)
    const store = new SqliteStore({ path: file, sync: false })
    const payload = (await store.read('n'))?.payload ?? ''
    await store.close()
    const stored = Number(payload.slice(22, 32))
    t.true(stored === last || stored === last + 1, `${last} was acknowledged, and ${stored} is stored`)
    t.is(payload.length, 33 + ((stored * 7_919) % 60_000))
    acknowledged = stored
  }
  const client = openClient(file)
  t.is(Object(query(client, 'PRAGMA integrity_check')[0]).integrity_check, 'ok')
  client.close()
  t.log(`${acknowledged} writes, ${KILLS} kills`)
})
