import test from 'ava'
import * as fc from 'fast-check'
import { type Limits, SessionError, SessionManager } from '../../src/index.ts'
import { hashId } from '../../src/session/id.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { Builder, type Fate } from './builder.ts'
import { registry } from './classes.ts'
import { fingerprint } from './fingerprint.ts'
import { recipes, type Recipe } from './recipe.ts'
import { allowLongRun } from '../support/long-run.ts'

const RUNS = Number(process.env['KTS_RUNS'] ?? 5_000)
const SEED = process.env['KTS_SEED']
const KEYS = ['value', 'a b', '', '__proto__', 'constructor', '~0', '"', '\n', '\uD800', '0']

/** Runs a property. The message of a failure has the seed and the smallest counterexample. */
async function check(
  title: string,
  property: fc.IAsyncProperty<[Recipe, ...unknown[]]>,
  runs: number,
): Promise<void> {
  const seed = SEED === undefined ? {} : { seed: Number(SEED) }
  const result = await fc.check(property, { numRuns: runs, ...seed })
  if (!result.failed) return
  const why = result.errorInstance instanceof Error ? result.errorInstance.message : ''
  throw new Error(`${title}: ${why}\n${fc.defaultReportMessage(result) ?? ''}`)
}

interface Outcome {
  readonly fate: Fate
  readonly kept: boolean
  readonly why: string
}

const store = new MemoryStore()

/** Sets a value, commits, opens the session with another manager, and compares the value that it reads. */
async function roundTrip(recipe: Recipe, key: string, limits: Partial<Limits> = {}): Promise<Outcome> {
  const builder = new Builder()
  const value = builder.build(recipe)
  // Without a timer, which would keep each of a hundred thousand managers alive.
  const settings = { store, registry, limits, sweepInterval: 0 }
  const writer = new SessionManager(settings)
  const session = writer.begin()
  try {
    session.set(key, value)
    await writer.commit(session)
  } catch (error) {
    if (!(error instanceof SessionError)) throw error
    const { code, message } = error
    if (code !== 'ERR_SESSION_VALUE' && code !== 'ERR_SESSION_LIMIT') throw error
    if (
      !message.startsWith(key) &&
      !message.startsWith(JSON.stringify(key)) &&
      !message.startsWith('the session is')
    )
      throw new Error(`the path does not begin with the key: ${message}`, { cause: error })
    if (!message.startsWith('the session is') && session.size > 0)
      throw new Error('a refused value is in the session', { cause: error })
    return { fate: builder.fate, kept: false, why: `${code} ${message}` }
  }
  const reader = new SessionManager(settings)
  const found = await reader.open(session.id)
  const [before, after] = [fingerprint(value), fingerprint(found.get(key))]
  if (before !== after) throw new Error(`silently different:\n${before}\n—\n${after}`)

  const payload = (await store.read(hashId(session.id)))?.payload
  await reader.commit(found)
  if ((await store.read(hashId(session.id)))?.payload !== payload) throw new Error('looking at it changed it')
  found.set(key, found.get(key))
  await reader.commit(found)
  if ((await store.read(hashId(session.id)))?.payload !== payload)
    throw new Error('it is written another way')
  await found.destroy()
  return { fate: builder.fate, kept: true, why: '' }
}

test(`${RUNS} random values that can be stored come back exactly`, async (t) => {
  allowLongRun(t, 60_000 + RUNS * 20)
  const counts = { exact: 0, either: 0 }
  const property = fc.asyncProperty(recipes(false), fc.constantFrom(...KEYS), async (recipe, key) => {
    const { fate, kept, why } = await roundTrip(recipe, key)
    if (fate === 'exact' && !kept) throw new Error(`refused: ${why}`)
    counts[fate === 'exact' ? 'exact' : 'either']++
  })
  await check('a value did not come back as it was', property, RUNS)
  t.true(counts.exact > RUNS / 2, JSON.stringify(counts))
})

test(`${RUNS} random values, some with a part that cannot be stored: those are refused with their path`, async (t) => {
  allowLongRun(t, 60_000 + RUNS * 20)
  const counts = { exact: 0, refused: 0, either: 0 }
  const property = fc.asyncProperty(recipes(true), fc.constantFrom(...KEYS), async (recipe, key) => {
    const { fate, kept } = await roundTrip(recipe, key)
    if (fate === 'refused' && kept) throw new Error('a value that cannot be stored was stored')
    counts[fate]++
  })
  await check('a value was neither kept exactly nor refused', property, RUNS)
  t.true(counts.refused > RUNS / 10, JSON.stringify(counts))
})

test(`${RUNS} random values under random limits: a value that could be written can be read`, async (t) => {
  allowLongRun(t, 60_000 + RUNS * 20)
  const counts = { kept: 0, refused: 0 }
  const budgets = fc.record({
    bytes: fc.integer({ min: 100, max: 2_000 }),
    keyBytes: fc.integer({ min: 10, max: 500 }),
    depth: fc.integer({ min: 1, max: 8 }),
    bigintDigits: fc.integer({ min: 1, max: 80 }),
  })
  const property = fc.asyncProperty(recipes(false), budgets, async (recipe, limits) => {
    const { kept } = await roundTrip(recipe, 'value', limits)
    counts[kept ? 'kept' : 'refused']++
  })
  await check('a value was written that cannot be read', property, RUNS)
  t.true(counts.kept > RUNS / 10 && counts.refused > RUNS / 10, JSON.stringify(counts))
})
