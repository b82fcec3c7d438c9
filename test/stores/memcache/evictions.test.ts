import test from 'ava'
import { hashId } from '../../../src/session/id.ts'
import { MemcacheStore } from '../../../src/stores/memcache.ts'
import { counting, openSite, type Site } from '../../engines/site.ts'
import { MemcachedConsole, startMemcached } from '../../servers/memcached.ts'

/** A site on memcached at `port`; `/held` takes away the server's memory in some way while the session is open. */
async function open(port: number, loss: () => Promise<unknown>): Promise<Site> {
  const store = new MemcacheStore({ url: `127.0.0.1:${port}`, timeout: 2_000 })
  return openSite(
    { store },
    {
      ...counting,
      async held({ session }) {
        session.update('n', (n = 0) => n + 1)
        await loss()
      },
      async fill({ session }) {
        session.set('text', 'x'.repeat(200_000))
      },
    },
  )
}

test('F10: after a restart of memcached all users are logged out: no crash, no old ID comes back', async (t) => {
  let server = await startMemcached()
  const { port } = server
  const restart = async (): Promise<void> => {
    await server.stop()
    server = await startMemcached({ port })
  }
  const site = await open(port, restart)
  t.teardown(async () => {
    await site.close()
    await server.stop()
  })
  const { cookie: id = '' } = await site.ask('/begin')
  t.is((await site.ask('/count', id)).text, '1')
  await restart()
  t.deepEqual(await site.ask('/look', id), { status: 200, text: 'null', cookie: undefined })
  const { status, text, cookie: next = '' } = await site.ask('/count', id)
  t.deepEqual([status, text], [200, '1'])
  t.not(next, id)
  t.is((await site.ask('/look', id)).text, 'null')

  // A restart between opening and commit: the session is gone, and the request does not bring it back.
  const late = await site.ask('/held', next)
  t.deepEqual([late.status, late.cookie], [200, undefined])
  t.is((await site.ask('/look', next)).text, 'null')
  t.is(await new MemcachedConsole(port).look(`session:${hashId(next)}`), undefined)
})

test('F10: a session that memcached evicts during a request is a logout, not an error', async (t) => {
  const server = await startMemcached({ args: ['-m', '8'] })
  const fill = async (): Promise<unknown> =>
    Promise.all(Array.from({ length: 100 }, async () => site.ask('/fill')))
  const site = await open(server.port, fill)
  t.teardown(async () => {
    await site.close()
    await server.stop()
  })
  const backend = new MemcachedConsole(server.port)
  const { cookie: large = '' } = await site.ask('/fill')
  const name = `session:${hashId(large)}`
  t.truthy(await backend.look(name))
  const answer = await site.ask('/held', large)
  t.true(((await backend.stats()).get('evictions') ?? 0) > 0)
  t.is(await backend.look(name), undefined, 'evicted, and not brought back')
  t.deepEqual([answer.status, answer.cookie], [200, undefined])
  const { cookie: fresh } = await site.ask('/count', large)
  t.truthy(fresh)
  t.not(fresh, large)
})
