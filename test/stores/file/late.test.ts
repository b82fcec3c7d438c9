import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import test from 'ava'
import { FileStore } from '../../../src/stores/file.ts'
import { MemoryStore } from '../../../src/stores/memory.ts'
import type { Counting, Entry, Store, Sweeping } from '../../../src/store.ts'
import { age, assertTidy, HOUR, KEY, NEW, OLD, START } from './operations.ts'
import { intercept } from './file-system-calls.ts'
import { temporaryFolder } from '../../support/cleanup.ts'

const base = await temporaryFolder('kts-file-late-')

/** A store with all its abilities, its clock, and what makes its files as old as the clock says. */
interface World {
  readonly store: Store & Sweeping & Counting
  wait(ms: number): Promise<void>
}

type Act = (world: World) => Promise<unknown>

const BASE: Entry = { payload: OLD, expiresAt: START + 24 * HOUR }
const THEIRS = 'kts1 cccccccccccccccc theirs'
const THIRD = 'kts1 dddddddddddddddd third'

/** What the process does that is stopped somewhere in the middle. */
const late: Readonly<Record<string, Act>> = {
  create: async ({ store }) => store.create(KEY, NEW, START + 300 * HOUR),
  replace: async ({ store }) => store.replace(KEY, NEW, START + 300 * HOUR, BASE),
  'replace that shortens the life': async ({ store }) => store.replace(KEY, NEW, START + 23 * HOUR, BASE),
  touch: async ({ store }) => store.touch(KEY, START + 300 * HOUR),
  destroy: async ({ store }) => store.destroy(KEY),
  'destroy with a base': async ({ store }) => store.destroy(KEY, BASE),
  read: async ({ store }) => store.read(KEY),
}

const replace: Act = async ({ store }) => store.replace(KEY, THEIRS, START + 100 * HOUR, BASE)
const again: Act = async ({ store }) =>
  store.replace(KEY, THIRD, START + 100 * HOUR, { payload: THEIRS, expiresAt: START })
const touch: Act = async ({ store }) => store.touch(KEY, START + 100 * HOUR)
const destroy: Act = async ({ store }) => store.destroy(KEY)
const create: Act = async ({ store }) => store.create(KEY, THEIRS, START + 100 * HOUR)
const read: Act = async ({ store }) => store.read(KEY)
const wait: Act = async (world) => world.wait(2 * HOUR)
const outlive: Act = async (world) => world.wait(24 * HOUR)
/** How many it ends is left out: another one may have been told first that they are absent. */
const sweep: Act = async ({ store }) => void (await store.sweep(10))

/** What others do meanwhile. */
const meanwhile: Readonly<Record<string, readonly Act[]>> = {
  'replaced it': [replace],
  'replaced it twice': [replace, again],
  'touched it': [touch],
  'destroyed it': [destroy],
  'created it': [create],
  'destroyed and created it': [destroy, create],
  'created and destroyed it': [create, destroy],
  'touched and destroyed it': [touch, destroy, read],
  'found it expired': [outlive, read],
  'created it after it had expired': [outlive, create],
  'swept it away': [outlive, sweep, read],
  'swept it away and created it': [outlive, sweep, create],
  'swept leftovers': [wait, sweep],
  'swept leftovers twice': [wait, sweep, wait, sweep],
  'swept leftovers and replaced it': [wait, sweep, replace, wait, sweep],
  'replaced it and swept leftovers': [replace, wait, sweep],
  'destroyed it and swept leftovers': [destroy, wait, sweep],
  'destroyed it, swept leftovers and created it': [destroy, wait, sweep, create, wait, sweep],
}

/** Someone who is to be stopped before a step, the nth or the first of a name, and waits there to be told to go on. */
class Stop {
  readonly reached: Promise<void>
  #arrive: () => void = () => undefined
  #release: () => void = () => undefined
  readonly #released: Promise<void>
  readonly #step: number | string
  #steps = 0
  #stopped = false

  constructor(step: number | string) {
    this.#step = step
    this.reached = new Promise((resolve) => (this.#arrive = resolve))
    this.#released = new Promise((resolve) => (this.#release = resolve))
  }

  async pass(name: string): Promise<void> {
    this.#steps += 1
    this.#stopped ||= this.#step === this.#steps || this.#step === name
    if (!this.#stopped) return
    this.#arrive()
    await this.#released
  }

  goOn(): void {
    this.#release()
  }
}

const stops = new AsyncLocalStorage<Stop>()
test.before(async () => {
  await intercept(async ({ name, run }) => {
    await stops.getStore()?.pass(name)
    return run()
  })
})

/** What the contract says must come of it if the acts are done in this order: every answer, and what is left. */
async function expected(acts: readonly Act[], present: boolean): Promise<readonly unknown[]> {
  let clock = START
  const store = new MemoryStore({ now: () => clock })
  const world: World = { store, wait: async (ms) => void (clock += ms) }
  if (present) await store.create(KEY, BASE.payload, BASE.expiresAt)
  const answers: unknown[] = []
  for (const act of acts) answers.push(await act(world))
  return [...answers, await store.read(KEY)]
}

/** Every order of `act` and `others` that is consistent with their answers. */
async function orders(
  act: Act,
  others: readonly Act[],
  present: boolean,
): Promise<readonly (readonly unknown[])[]> {
  const results: unknown[][] = []
  for (let at = 0; at <= others.length; at += 1) {
    const [...result] = await expected(others.toSpliced(at, 0, act), present)
    const [mine] = result.splice(at, 1)
    results.push([mine, ...result])
  }
  return results
}

let folders = 0

/** A folder of its own, two processes that use it, and a clock that all turn together. */
async function opened(present: boolean): Promise<{ folder: string; mine: World; theirs: World }> {
  let clock = START
  const folder = path.join(base, String((folders += 1)))
  // Files know no other clock than the system's, so they are made older as time goes by.
  const wait = async (ms: number): Promise<void> => {
    await age(folder)
    clock += ms
  }
  const open = (): World => ({ store: new FileStore({ folder, sync: false, now: () => clock }), wait })
  const [mine, theirs] = [open(), open()]
  await mine.store.open?.()
  if (present) await theirs.store.create(KEY, BASE.payload, BASE.expiresAt)
  return { folder, mine, theirs }
}

/** Starts `act`, and stops it at a step. `undefined` if it has fewer steps. */
async function start(
  act: Act,
  world: World,
  step: number | string,
): Promise<(() => Promise<unknown>) | undefined> {
  const stop = new Stop(step)
  const acting = stops.run(stop, async () => act(world))
  const early = await Promise.race([acting.then(() => true), stop.reached.then(() => false)])
  if (early) return undefined
  return async () => {
    stop.goOn()
    return acting
  }
}

/** Asserts that a sweep leaves what the living need, and nothing else. */
async function assertSwept(folder: string, world: World): Promise<void> {
  await world.wait(2 * HOUR)
  await world.store.sweep(10)
  await assertTidy(folder, await world.store.count())
  await fs.rm(folder, { recursive: true })
}

/** Does `act` up to a step, then all of `others`, then the rest of it. */
async function interleave(
  act: Act,
  others: readonly Act[],
  step: number,
  present: boolean,
): Promise<unknown> {
  const { folder, mine, theirs } = await opened(present)
  const goOn = await start(act, mine, step)
  if (goOn === undefined) return undefined
  const answers: unknown[] = []
  for (const other of others) answers.push(await other(theirs))
  const result = [await goOn(), ...answers, await theirs.store.read(KEY)]
  await assertSwept(folder, theirs)
  return result
}

for (const [name, act] of Object.entries(late)) {
  test.serial(`${name} may pause at any step, and notices what other processes did meanwhile`, async (t) => {
    let stopsReached = 0
    for (const [what, others] of Object.entries(meanwhile)) {
      for (const present of [true, false]) {
        const allowed = await orders(act, others, present)
        for (let step = 1; ; step += 1) {
          const result = await interleave(act, others, step, present)
          if (result === undefined) break
          stopsReached += 1
          if (allowed.some((each) => isDeepStrictEqual(each, result))) continue
          t.log(allowed)
          assert.deepEqual(
            result,
            allowed.at(-1),
            `${what}, before step ${step}, ${present ? 'present' : 'absent'}`,
          )
        }
      }
    }
    t.true(stopsReached >= 2 * 2 * Object.keys(meanwhile).length)
  })
}

test.serial(
  'a sweep may pause at any step, and removes nothing that has come into use meanwhile',
  async (t) => {
    let stopsReached = 0
    for (const act of ['create', 'replace', 'destroy']) {
      const run = late[act] ?? assert.fail()
      for (let step = 1; ; step += 1) {
        let swept = true
        for (let sweepStep = 1; swept; sweepStep += 1) {
          const { folder, mine, theirs } = await opened(act !== 'create')
          const goOn = await start(run, mine, step)
          if (goOn === undefined) break
          await theirs.wait(2 * HOUR)
          const sweepOn = await start(sweep, theirs, sweepStep)
          swept = sweepOn !== undefined
          const result = [await goOn(), await sweepOn?.(), await theirs.store.read(KEY)]
          t.deepEqual(result, [...(await expected([run, sweep], act !== 'create'))])
          await assertSwept(folder, theirs)
          stopsReached += 1
        }
        if (swept) break
      }
    }
    t.true(stopsReached > 100)
  },
)

test.serial('a sweep leaves a staged home that contains a foreign file', async (t) => {
  const { folder, mine, theirs } = await opened(false)
  const goOn = await start(late['create'] ?? assert.fail(), mine, 'rename')
  const staging = (await fs.readdir(folder, { recursive: true })).find((name) => name.endsWith('.new'))
  await fs.writeFile(path.join(folder, staging ?? '', 'theirs.txt'), 'theirs')
  await theirs.wait(2 * HOUR)
  await theirs.store.sweep(10)
  await goOn?.()
  t.is((await theirs.store.read(KEY))?.payload, NEW)
})
