import test from 'ava'
import { connect } from 'couchbase'
import { hashId } from '../../../src/session/id.ts'
import { CouchbaseStore } from '../../../src/stores/couchbase.ts'
import { counting, openSite, type Route, type Site } from '../../engines/site.ts'
import { startCouchbaseMock } from '../../servers/couchbase.ts'
import { startProxy } from '../../servers/proxy.ts'

const BUSY = 0x86
const server = await startCouchbaseMock()
test.after.always(async () => server.stop())

/** A site; `/held` counts, and then something happens to the server. */
async function open(url: string, timeout: number, happen: () => Promise<void>): Promise<Site> {
  const held: Route = async ({ session }) => {
    session.update('n', (n = 0) => n + 1)
    await happen()
  }
  return openSite({ store: new CouchbaseStore({ url, timeout }) }, { ...counting, held })
}

test.serial(
  'F11: a write that ran out of time is settled by its version, and counted at most once',
  async (t) => {
    const proxy = await startProxy({ port: server.port, isTold: true })
    const url = server.url.replace(`:${server.port}/`, `:${proxy.port}/`)
    const site = await open(url, 500, async () => proxy.stall())
    t.teardown(async () => {
      await site.close()
      await proxy.stop()
    })
    let id = ''
    while (id === '') id = (await site.ask('/begin')).cookie ?? '' // connecting may take its time
    t.is((await site.ask('/count', id)).text, '1')
    const { status, cookie } = await site.ask('/held', id)
    t.deepEqual([status, cookie], [503, undefined])
    proxy.mend()
    let seen = await site.ask('/look', id)
    while (seen.status === 503) seen = await site.ask('/look', id)
    t.true(seen.text === '1' || seen.text === '2', seen.text)
    const next = Number(seen.text) + 1
    t.is((await site.ask('/count', id)).text, String(next))
    t.is((await site.ask('/look', id)).text, String(next), 'nothing arrives late')
  },
)

test.serial(
  'F11: a server that is busy, or a document that is locked for a moment, costs time and nothing else',
  async (t) => {
    const site = await open(server.url, 10_000, async () => server.fail(BUSY, 3))
    t.teardown(async () => site.close())
    const { cookie: id = '' } = await site.ask('/begin')
    t.is((await site.ask('/held', id)).status, 200)
    t.is((await site.ask('/look', id)).text, '1')

    const { username, password, host } = new URL(server.url)
    const cluster = await connect(`couchbase://${host}`, { username, password })
    t.teardown(async () => cluster.close())
    const documents = cluster.bucket('default').defaultCollection()
    const name = `session:${hashId(id)}`
    const transcoder = { encode: (): [Buffer, number] => [Buffer.alloc(0), 0], decode: String }
    const { cas } = await documents.getAndLock(name, 15, { transcoder })
    const asking = site.ask('/count', id)
    await documents.unlock(name, cas)
    t.is((await asking).text, '2')
  },
)
