import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import test from 'ava'
import couchbase from 'couchbase'
import { migrate } from '../../src/migrate/index.ts'
import type { Store, StoreTraits } from '../../src/store.ts'
import { CouchbaseStore } from '../../src/stores/couchbase.ts'
import { parseCouchbaseConfig } from '../../src/stores/couchbase/config.ts'
import { FileStore } from '../../src/stores/file.ts'
import { PostgresStore } from '../../src/stores/postgres.ts'
import { storeContract, type StoreHarness } from '../../src/testing/index.ts'
import { couchbaseServer } from '../servers/couchbase.ts'
import { emptyDatabase, postgresServer } from '../servers/postgres.ts'
import { bench } from '../stores/mysql/harness.ts'
import { temporaryFolder } from '../support/cleanup.ts'

const until = new Date('2100-01-01')
/** Long timeouts, since the machine may be busy and time is not what is tested here. */
const timeout = 30_000

/** The harness of one store, and how to stop its server. */
interface Grounds {
  readonly harness: Pick<StoreHarness, 'open' | 'advance'>
  readonly stop: () => Promise<void>
}

let clock = Date.now()
const turned = (): number => clock

/** Stores whose clock is that of the test. */
function byClock(open: () => Store): Grounds['harness'] {
  return { open, advance: () => undefined }
}

const engines: Readonly<Record<string, () => Promise<Grounds>>> = {
  file: async () => {
    const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
    const folder = await temporaryFolder('kts-change-', memory)
    return {
      harness: byClock(() => new FileStore({ folder, now: turned, sync: false })),
      stop: async () => undefined,
    }
  },
  couchbase: async () => {
    const server = await couchbaseServer()
    const { cluster = server.url, username, password, bucket } = parseCouchbaseConfig(server.url)
    const client = await couchbase.connect(cluster, { username, password })
    const prefix = `${randomBytes(6).toString('hex')}:`
    return {
      harness: byClock(() => new CouchbaseStore({ client, bucket, prefix, timeout, now: turned })),
      stop: async () => {
        await client.close()
        await server.stop()
      },
    }
  },
  mysql: async () => {
    const { harness, end } = await bench('ours')
    return { harness, stop: end }
  },
  postgres: async () => {
    const server = await postgresServer()
    const { url, query, drop } = await emptyDatabase(server)
    const older = ['session_expiry', 'session_due'].map(
      (name) => `${name} = ${name} - $1 * interval '1 millisecond'`,
    )
    return {
      harness: {
        open: () => new PostgresStore({ url, timeout }),
        advance: async (ms) => void (await query(`UPDATE session SET ${older.join(', ')}`, [ms])),
      },
      stop: async () => {
        await drop()
        await server.stop()
      },
    }
  },
}

/** Engines by whose clocks time passes in the same way. */
const changes: readonly (readonly [from: string, to: string, isTurned: boolean])[] = [
  ['file', 'couchbase', true],
  ['mysql', 'postgres', false],
]

/** A change, with a harness for its store. */
interface Change {
  readonly name: string
  readonly traits: StoreTraits
  readonly harness: StoreHarness
}

const grounds: Grounds[] = []

async function start(name: string): Promise<Grounds> {
  const started = await engines[name]?.()
  if (started === undefined) throw new Error(`no engine ${name}`)
  grounds.push(started)
  return started
}

async function changeOf([from, to, isTurned]: (typeof changes)[number]): Promise<Change> {
  const [old, next] = await Promise.all([start(from), start(to)])
  const now = isTurned ? turned : Date.now
  const open = async (): Promise<Store> => {
    const [one, other] = [await old.harness.open(), await next.harness.open()]
    return migrate({ to: other, from: one, until, now })
  }
  const probe = await open()
  const advance = async (ms: number): Promise<void> => {
    if (isTurned) clock += ms
    await Promise.all([old.harness.advance(ms), next.harness.advance(ms)])
  }
  const [sweeps, counts] = ['sweep' in probe, 'count' in probe]
  await probe.close()
  return {
    name: `${from} to ${to}`,
    traits: probe.traits,
    harness: { open, now, advance, still: isTurned, sweeps, counts },
  }
}

const all = await Promise.all(changes.map(changeOf))
test.after.always('the servers stop', async () => {
  await Promise.all(grounds.map(async ({ stop }) => stop()))
})

for (const { name, traits, harness } of all) {
  for (const { title, appliesTo, check } of storeContract) {
    if (!appliesTo(traits, harness)) continue
    // What is created goes to Couchbase, which removes what has expired by itself: the sweep is for the files.
    if (name === 'file to couchbase' && /\bsweep/.test(title)) continue
    test.serial(`${name}: ${title}`, async (t) => {
      await t.notThrowsAsync(check(harness))
    })
  }
}
