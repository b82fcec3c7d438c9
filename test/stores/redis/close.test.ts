// Closing a store whose client is the application's.
import test from 'ava'
import { Redis } from 'ioredis'
import { RedisStore } from '../../../src/stores/redis.ts'

test('close() returns although the client of the application cannot connect, and leaves that client alone', async (t) => {
  const client = new Redis({
    host: '127.0.0.1',
    port: 1,
    retryStrategy: () => 20,
    maxRetriesPerRequest: null,
  })
  client.on('error', () => {})
  // It would try to connect for ever, and its process would not end.
  t.teardown(() => client.disconnect())
  const store = new RedisStore({ client, timeout: 50 })
  await t.throwsAsync(store.read('a'.repeat(64)), { code: 'ERR_SESSION_STORE' })
  await store.close()
  t.not(client.status, 'end')
  // While it connects, the client itself listens to its `close`.
  t.is(client.listenerCount('-node'), 0)
})
