// `npm run kills` kills more than a thousand times, with more payloads and neighbours.
import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import * as fs from 'node:fs/promises'
import * as os from 'node:os'
import * as path from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import test from 'ava'
import { SessionManager } from '../../../src/session/manager.ts'
import type { Entry } from '../../../src/store.ts'
import {
  actsOf,
  age,
  assertTidy,
  assertUsable,
  found,
  HOUR,
  KEY,
  NEW,
  OLD,
  payloads,
  START,
  storeAt,
  type Act,
} from './operations.ts'
import { Children } from './child.ts'
import type { Mode } from './death.ts'
import { temporaryFolder } from '../../support/cleanup.ts'
import { allowLongRun } from '../../support/long-run.ts'

const ROUNDS = Number(process.env['KTS_KILL_ROUNDS'] ?? 1)

const base = await temporaryFolder('kts-file-kill-')
let children: Children
test.before(async () => {
  children = await Children.compile(base)
})
let kills = 0
test.after((t) => {
  t.log(`${kills} processes were killed`)
})

/** When to die at a step that changes something. At one that only looks or flushes, before is as good as after. */
const MODES: Readonly<Record<string, readonly Mode[]>> = {
  mkdir: ['before', 'after'],
  rename: ['before', 'after'],
  rmdir: ['before', 'after'],
  unlink: ['before', 'after'],
  writeFile: ['before', 'within', 'after'],
}

/** A step to die at. */
interface Death {
  readonly step: number
  readonly mode: Mode
}

/** Others who live in the same folder: on the shelf of KEY, where a sweep lists them all at once, and elsewhere. */
const neighbours: readonly string[] = [
  'somebody',
  ...Array.from({ length: 1_000 }, (_, n) => `neighbour-${n}`).filter((key) => shelfOf(key) === shelfOf(KEY)),
]

function shelfOf(key: string): string {
  return hash('sha256', key, 'hex').slice(0, 2)
}

/** A round has payloads of its own, and so many neighbours. */
interface Round {
  readonly variant: number
  readonly others: readonly string[]
}

function roundsOf(act: number): readonly Round[] {
  return Array.from({ length: ROUNDS }, (_, round) => ({
    variant: (act + round) % payloads.length,
    others: neighbours.slice(0, (act + 2 * round) % 6),
  }))
}

let folders = 0
async function prepared(act: Act, others: readonly string[]): Promise<string> {
  const folder = path.join(base, `folder-${(folders += 1)}`)
  const store = storeAt(folder, act.now - HOUR)
  await act.prepare(store, folder)
  for (const key of others) await store.create(key, `${NEW} ${key}`, START + 24 * HOUR)
  return folder
}

async function assertNeighbours(folder: string, now: number, others: readonly string[]): Promise<void> {
  for (const key of others) {
    const expected: Entry = { payload: `${NEW} ${key}`, expiresAt: START + 24 * HOUR }
    assert.deepEqual(await storeAt(folder, now).read(key), expected)
  }
}

/** Every step of an act, and every way to die there. */
function deathsOf(steps: string): readonly Death[] {
  return steps
    .split(' ')
    .flatMap((step, at) =>
      (MODES[step] ?? (['before'] as const)).map((mode: Mode) => ({ step: at + 1, mode })),
    )
}

/** As many at once as there are processors. */
async function each<T, R>(items: readonly T[], run: (item: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = []
  const width = os.availableParallelism()
  for (let at = 0; at < items.length; at += width) {
    results.push(...(await Promise.all(items.slice(at, at + width).map(run))))
  }
  return results
}

/** Runs a script that is to be killed; what it printed before. */
async function killed(script: string, ...args: readonly string[]): Promise<string> {
  const { signal, stdout, stderr } = await children.run(script, ...args)
  assert.equal(signal, 'SIGKILL', stderr)
  kills += 1
  return stdout
}

const names = Object.keys(actsOf(OLD, NEW))
for (const [number, name] of names.entries()) {
  test.serial(
    `F12: killed at any step of ${name}, a process leaves the old or the new session`,
    async (t) => {
      allowLongRun(t, ROUNDS * 120_000)
      for (const { variant, others } of roundsOf(number)) {
        const [old = '', fresh = ''] = payloads[variant] ?? []
        const act = new Map<string, Act>(Object.entries(actsOf(old, fresh))).get(name) ?? assert.fail()

        /** Kills a process in the midst of the act, and tells whether others find that it was done. */
        const kill = async ({ step, mode }: Death): Promise<boolean> => {
          const folder = await prepared(act, others)
          await killed('victim', folder, name, String(variant), String(step), mode)
          const seen = await found(folder, act.now)
          const done = isDeepStrictEqual(seen, act.after)
          assert.ok(done || isDeepStrictEqual(seen, act.before), `killed ${mode} step ${step}`)
          await assertNeighbours(folder, act.now, others)
          await assertUsable(folder, act.now, others.length)
          await assertNeighbours(folder, act.now, others)
          await fs.rm(folder, { recursive: true })
          return done
        }

        const folder = await prepared(act, others)
        const { stdout, stderr } = await children.run('victim', folder, name, String(variant))
        t.is(stderr, '')
        t.deepEqual(await found(folder, act.now), act.after)
        await assertUsable(folder, act.now, others.length)
        const deaths = deathsOf(stdout)
        t.true(deaths.length >= 3)
        const history = await each(deaths, kill)
        // Once done it stays done: there is one step that does it, and all before and after it only prepare and tidy up.
        t.deepEqual(history, history.toSorted())
        t.true(history.at(-1))
      }
    },
  )
}

for (const name of ['create', 'replace'] as const) {
  test.serial(
    `F12: whatever part of a payload reached the disk when a ${name} was killed, it is not taken for a session`,
    async (t) => {
      const act = actsOf(OLD, NEW)[name]
      const { stdout } = await children.run('victim', await prepared(act, neighbours), name, '0')
      const steps = stdout.split(' ')
      const write = String(steps.lastIndexOf('writeFile') + 1)
      const torn = await prepared(act, neighbours)
      // What it prints is exactly this.
      const [file, hex] = JSON.parse(await killed('victim', torn, name, '0', write, 'torn')) as [
        string,
        string,
      ]
      const bytes = Buffer.from(hex, 'hex')
      t.is(bytes.toString(), NEW)
      for (let length = 0; length <= bytes.length; length += 1) {
        await fs.writeFile(file, bytes.subarray(0, length), { mode: 0o600 })
        if (!isDeepStrictEqual(await found(torn, act.now), act.before)) t.fail(`with ${length} bytes of it`)
      }
      await assertNeighbours(torn, act.now, neighbours)
      await assertUsable(torn, act.now, neighbours.length)
    },
  )
}

test.serial(
  'F12: killed at any step of regenerate, a process leaves the session under its old or its new ID',
  async (t) => {
    allowLongRun(t, ROUNDS * 120_000)
    const now = (): number => START + HOUR
    const manage = (folder: string, at = now()): SessionManager =>
      new SessionManager({
        store: storeAt(folder, at),
        now: () => at,
        idleTimeout: 24 * HOUR,
        sweepInterval: 0,
      })

    const begun = async (): Promise<{ folder: string; id: string }> => {
      const folder = path.join(base, `folder-${(folders += 1)}`)
      const session = manage(folder, START).begin()
      session.set('user', 'ann')
      session.set('visits', 1)
      await manage(folder, START).commit(session)
      return { folder, id: session.id }
    }

    /** What another process finds of the session: under its old ID, under its new one. */
    const look = async (folder: string, ids: readonly string[]): Promise<readonly unknown[]> =>
      Promise.all(
        ids.map(async (each) => {
          const session = await manage(folder).find(each)
          return session === undefined ? undefined : Object.fromEntries(session.entries())
        }),
      )
    const [old, next] = [
      { user: 'ann', visits: 1 },
      { user: 'ann', visits: 2 },
    ]

    const kill = async ({ step, mode }: Death): Promise<boolean> => {
      const { folder, id } = await begun()
      const newId = (await killed('holder', folder, id, String(step), mode)).trim()
      const seen = await look(folder, [id, newId])
      // In between both are there, but the new ID was never told to anybody.
      const whole = [
        [old, undefined],
        [old, next],
        [undefined, next],
      ]
      assert.ok(
        whole.some((state) => isDeepStrictEqual(state, seen)),
        `killed ${mode} step ${step}: ${JSON.stringify(seen)}`,
      )
      await age(folder)
      await storeAt(folder, now()).sweep(100)
      assert.deepEqual(await look(folder, [id, newId]), seen)
      // The redirect under the old ID is a record, too.
      const redirects = seen[0] === undefined ? 1 : 0
      await assertTidy(folder, seen.filter((each) => each !== undefined).length + redirects)
      await fs.rm(folder, { recursive: true })
      return seen[0] === undefined
    }

    const { folder, id } = await begun()
    const { stdout, stderr } = await children.run('holder', folder, id)
    t.is(stderr, '')
    const [newId = '', steps = ''] = stdout.split('\n')
    t.deepEqual(await look(folder, [id, newId]), [undefined, next])
    const deaths = Array.from({ length: ROUNDS }, () => deathsOf(steps))
    for (const round of deaths) {
      const history = await each(round, kill)
      t.deepEqual(history, history.toSorted())
      t.true(history.at(-1))
    }
  },
)
