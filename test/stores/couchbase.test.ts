import { randomBytes } from 'node:crypto'
import test from 'ava'
import couchbase from 'couchbase'
import { CouchbaseStore } from '../../src/stores/couchbase.ts'
import { parseCouchbaseConfig } from '../../src/stores/couchbase/config.ts'
import { storeContract, type StoreHarness } from '../../src/testing/index.ts'
import { couchbaseServer, type CouchbaseMock } from '../servers/couchbase.ts'

const server = await couchbaseServer()
const { url } = server
/** A status of the protocol that no client tries again. */
const INTERNAL_ERROR = 0x84

const prefix = `${randomBytes(6).toString('hex')}:`
const { cluster = url, username, password, bucket } = parseCouchbaseConfig(url)
const client = await couchbase.connect(cluster, { username, password })
test.after.always(async () => {
  await client.close()
  await server.stop()
})

/** Time passes for the stores: Couchbase still has what has ended for them. All use one connection. */
let clock = Date.now()
const turned: StoreHarness = {
  open: () => new CouchbaseStore({ client, bucket, prefix, timeout: 20_000, now: () => clock }),
  now: () => clock,
  advance: (ms) => void (clock += ms),
  still: true,
}

/** Time passes for the server, and it fails when it is told to. */
function fromTimeToTime({ travel, fail }: CouchbaseMock): StoreHarness {
  return {
    open: () => new CouchbaseStore({ url, prefix, timeout: 20_000 }),
    now: Date.now,
    advance: async (ms) => travel(Math.round(ms / 1_000)),
    break: async () => fail(INTERNAL_ERROR, 1_000_000),
    mend: async () => fail(INTERNAL_ERROR, 0),
  }
}

const { traits } = new CouchbaseStore({ url })
const harnesses = {
  'by the time of the store': turned,
  ...('travel' in server && { 'by the time of the server': fromTimeToTime(server) }), // it cannot travel back
}
for (const [when, harness] of Object.entries(harnesses)) {
  for (const requirement of storeContract) {
    if (!requirement.appliesTo(traits, harness)) continue
    test.serial(`${when}: ${requirement.title}`, async (t) => {
      await requirement.check(harness)
      t.pass()
    })
  }
}
