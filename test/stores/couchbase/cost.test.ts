import couchbase, { type Collection } from 'couchbase'
import test from 'ava'
import type { Store } from '../../../src/store.ts'
import { CouchbaseStore } from '../../../src/stores/couchbase.ts'
import { startCouchbaseMock } from '../../servers/couchbase.ts'

const KEY = 'a'.repeat(64)
let versions = 0
const payload = (body = ''): string =>
  `kts1 ${String((versions += 1)).padStart(16, '0')} 1700000000000${body}`
const inMinutes = (n: number): number => Date.now() + n * 60_000

const server = await startCouchbaseMock()
const { url } = server
const client = await couchbase.connect(`couchbase://127.0.0.1:${server.port}`, {
  username: 'Administrator',
  password: 'password',
})
const collection = client.bucket('default').defaultCollection()
const transcoder = {
  encode: (text: string): [Buffer, number] => [Buffer.from(text), 0],
  decode: (bytes: Buffer): string => bytes.toString(),
}
test.after.always(async () => {
  await client.close()
  await server.stop()
})

/** How many commands for documents the server got while `work` was done. */
async function commands(work: () => Promise<unknown>): Promise<number> {
  const before = await server.commands()
  await work()
  return (await server.commands()) - before
}

test.serial('each verb takes as many round trips as the documentation says', async (t) => {
  const store: Store = new CouchbaseStore({ url })
  t.is(await commands(async () => store.read(KEY)), 1)
  t.is(await commands(async () => store.create(KEY, payload(), inMinutes(1))), 1)
  t.is(await commands(async () => store.read(KEY, inMinutes(1))), 1)
  const base = await store.read(KEY)
  if (!base) return t.fail()
  const next = payload()
  t.is(await commands(async () => store.replace(KEY, next, inMinutes(1), base)), 1)
  t.is(await commands(async () => store.touch(KEY, inMinutes(2))), 2)
  t.is(await commands(async () => store.touch(KEY, inMinutes(1))), 1)
  const now = await store.read(KEY)
  t.is(now?.payload, next)
  t.is(await commands(async () => store.destroy(KEY, now)), 1)
  t.is(await commands(async () => store.touch(KEY, inMinutes(1))), 1)
  await store.close()
})

for (const [name, bytes] of [
  ['0.1 KB', 100],
  ['10 KB', 10_240],
  ['60 KB', 61_440],
  ['1,000 KB', 1_024_000],
] as const) {
  test.serial(`a payload of ${name} is returned unchanged, with one round trip each way`, async (t) => {
    const store = new CouchbaseStore({ url })
    const head = payload()
    const text = head + 'é'.repeat((bytes - head.length) / 2)
    t.is(await commands(async () => store.create(KEY, text, inMinutes(1))), 1)
    t.true((await store.read(KEY))?.payload === text)
    t.is(await store.destroy(KEY), 'ok')
    await store.close()
  })
}

test.serial(
  'a document is text that other drivers can read: the moment of death, and the payload',
  async (t) => {
    const store = new CouchbaseStore({ url })
    const text = payload(' "é"')
    await store.create(KEY, text, 2_000_000_000_123)
    const raw = await collection.get(`session:${KEY}`, { transcoder: new couchbase.RawStringTranscoder() })
    t.is(raw.content, `2000000000123\n${text}`)
    t.is((await store.read(KEY))?.expiresAt, 2_000_000_000_123)
    t.is(await store.destroy(KEY), 'ok')
    await store.close()
  },
)

test('the expiry of a document is a few seconds after that of the session, as a date', async (t) => {
  const expiries: unknown[] = []
  const insert = async (_key: string, _text: string, { expiry }: { expiry: Date }): Promise<object> => {
    expiries.push(expiry)
    return { cas: 7 }
  }
  const fake: unknown = { insert }
  const store = new CouchbaseStore({ client: fake as Collection }) // nothing else of a collection is used
  const start = 1_800_000_000_000
  for (const moment of [start, start + 1, start + 1_000, -5, 0, Infinity])
    await store.create(KEY, payload(), moment)
  t.deepEqual(expiries, [
    new Date(start + 5_000),
    new Date(start + 6_000),
    new Date(start + 6_000),
    new Date('1970-01-31T00:00:01Z'), // the first moment that is none of the durations
    new Date('1970-01-31T00:00:01Z'),
    new Date('2106-02-07T06:28:14Z'), // the last one that the protocol knows
  ])
})

test.serial(
  'a document that is not ours counts as ended long ago: it is not read, and makes room',
  async (t) => {
    const store = new CouchbaseStore({ url })
    for (const foreign of ['{"a":1}', '', '123', 'x\ny']) {
      await collection.insert(`session:${KEY}`, foreign, { transcoder })
      t.is(await store.read(KEY), undefined)
      t.is(await store.touch(KEY, inMinutes(1)), 'gone')
      t.is(typeof (await store.create(KEY, payload(), inMinutes(1))), 'object')
      t.is(await store.destroy(KEY), 'ok')
    }
    await store.close()
  },
)

test.serial('a concurrent touch does not make a write fail', async (t) => {
  const [writer, reader] = [new CouchbaseStore({ url }), new CouchbaseStore({ url })]
  const written = await writer.create(KEY, payload(), inMinutes(1))
  if (written === 'exists') return t.fail()
  let { entry } = written
  for (let round = 1; round <= 20; round += 1) {
    const touches = Array.from({ length: 5 }, async (_, n) => reader.touch(KEY, inMinutes(60 * round + n)))
    const outcome = await writer.replace(KEY, payload(), inMinutes(1), entry)
    await Promise.all(touches)
    if (typeof outcome === 'string') return t.fail(outcome)
    entry = outcome.entry
  }
  t.is((await reader.read(KEY))?.payload, entry.payload)
  await writer.destroy(KEY)
  await Promise.all([writer.close(), reader.close()])
})
