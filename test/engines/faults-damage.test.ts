import { isDeepStrictEqual } from 'node:util'
import test from 'ava'
import { Client } from 'pg'
import { createRegistry, SessionError, SessionManager } from '../../src/index.ts'
import { hashId } from '../../src/session/id.ts'
import { CLASSIC_TABLE } from '../servers/postgres.ts'
import { engines } from './engine.ts'
import { proxiedEngines } from './proxied.ts'
import { patient } from './stores.ts'
import { openRecords, type Records } from './records.ts'

class Cart {
  items: string[] = ['apple']
  since = new Date(0)
}
const registry = createRegistry()
registry.registerType(Cart)

/** One line of each kind, between two plain ones. */
const values: ReadonlyArray<readonly [key: string, value: unknown]> = (() => {
  const twin = { a: 1 }
  return [
    ['user', 'ann'],
    ['cart', new Cart()],
    ['twins', [twin, twin]],
    ['n', 7],
  ] as const
})()

/** The text with one bit flipped, for each byte, and cut off, before each byte. */
function damages(bytes: Buffer): Buffer[] {
  const flips = Array.from(bytes, (byte, at) => {
    const flipped = Buffer.from(bytes)
    // The highest bit too, which makes it invalid UTF-8.
    flipped[at] = byte ^ (1 << (at % 8))
    return flipped
  })
  const cuts = Array.from(bytes, (_, at) => bytes.subarray(0, at))
  return [...flips, ...cuts]
}

/** How the manager treated a damaged record; a string if that was wrong. */
type Outcome = 'opened' | 'refused' | 'fresh' | { readonly wrong: string }

const kinds = [
  ...['file', 'sqlite', ...Object.keys(proxiedEngines)].map((provider) => ({
    provider,
    kind: provider,
    setUp: '',
  })),
  { provider: 'postgres', kind: 'postgres, the classic table', setUp: CLASSIC_TABLE },
]

for (const { provider, kind, setUp } of kinds) {
  test(`F14: ${kind}: whichever bit of a record flips, and wherever it is cut off, nothing is emptied or overwritten`, async (t) => {
    const engine = await (proxiedEngines[provider] ?? engines[provider])?.()
    if (engine === undefined) return t.fail()
    const direct = 'direct' in engine ? String(engine.direct) : engine.config
    if (setUp !== '') await database(direct, setUp)
    const events = { payload: 0, key: 0, unknown: 0 }
    const manager = new SessionManager({
      ...patient(provider, engine.config),
      registry,
      onEvent(event) {
        if (event.type === 'decode-failed') events[event.scope] += 1
        if (event.type === 'unknown') events.unknown += 1
      },
    })
    t.teardown(async () => {
      await manager.close()
      await engine.stop()
    })
    await manager.ready()
    const records = await openRecords[provider]?.(direct)
    if (records === undefined) return t.fail()
    t.teardown(async () => records.close())
    const { key } = await begin(manager)
    const count = damages((await records.read(key)) ?? Buffer.alloc(0)).length
    t.true(count > 400)
    const outcomes: Outcome[] = []
    let next = 0
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        while (next < count) outcomes.push(await endure(manager, records, next++))
      }),
    )
    t.deepEqual(
      outcomes.filter((outcome) => typeof outcome === 'object'),
      [],
    )
    const fresh = outcomes.filter((outcome) => outcome === 'fresh').length
    t.is(events.payload + events.unknown, fresh, 'each fresh session has its event')
    t.true(provider === 'file' || events.key > 100, 'and so has each key')
    // Only the records of Couchbase also contain their expiry.
    if (provider !== 'couchbase') t.is(events.unknown, 0)
    return t.true(fresh > 200)
  })
}

async function database(connectionString: string, statement: string): Promise<void> {
  const client = new Client({ connectionString })
  await client.connect()
  await client.query(statement)
  await client.end()
}

async function begin(manager: SessionManager): Promise<{ id: string; key: string }> {
  const session = manager.begin()
  for (const [name, value] of values) session.set(name, value)
  await manager.commit(session)
  return { id: session.id, key: hashId(session.id) }
}

/** Damages a new session in the `at`th way, opens it and writes to it. */
async function endure(manager: SessionManager, records: Records, at: number): Promise<Outcome> {
  const { id, key } = await begin(manager)
  const sound = (await records.read(key)) ?? Buffer.alloc(0)
  const damaged = damages(sound)[at] ?? sound
  try {
    await records.spoil(key, damaged)
  } catch {
    return 'refused' // by the server, which accepts no such text
  }
  const session = await manager.open(id)
  if (session.isNew) {
    await manager.commit(session.set('fresh', true))
    if (session.id === id) return { wrong: `${at}: the ID was used again` }
    const kept = await records.read(key)
    return kept?.equals(damaged) === true ? 'fresh' : { wrong: `${at}: the old record was changed` }
  }
  let different = 0
  for (const [name, value] of values) {
    try {
      const found = session.get(name)
      if (isDeepStrictEqual(found, value)) continue
      if (found !== undefined) return { wrong: `${at}: ${name} is another value` }
      different += 1
    } catch (error) {
      if (!(error instanceof SessionError)) return { wrong: `${at}: ${String(error)}` }
      different += 1
    }
  }
  // A newline that was changed joins two lines.
  if (different > 2) return { wrong: `${at}: ${different} keys are lost` }
  await manager.commit(session.set('fresh', true))
  const kept = String(await records.read(key)).split('\n')
  const [, ...lines] = String(damaged).slice(String(damaged).indexOf('kts1 ')).split('\n')
  const lost = lines.filter((line) => !kept.includes(line))
  return lost.length === 0 ? 'opened' : { wrong: `${at}: the line ${lost.join()} is lost` }
}
