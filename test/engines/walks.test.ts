import { MemoryStore } from '../../src/stores/memory.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import { redisServer } from '../servers/redis.ts'
import { openLaboratory } from '../stores/redis/harness.ts'
import { testWalks } from './walker.ts'

testWalks('memory', { count: 20_000, interleaved: true }, async () => {
  let clock = Date.now()
  return {
    harness: {
      open: () => new MemoryStore({ now: () => clock }),
      now: () => clock,
      advance: (ms) => void (clock += ms),
      still: true,
    },
    stop: async () => undefined,
  }
})

testWalks('redis', { count: 4_000, interleaved: false }, async () => {
  const server = await redisServer()
  const laboratory = await openLaboratory(server.url, 'single')
  const { url, prefix } = laboratory
  return {
    harness: { ...laboratory.harness, open: () => new RedisStore({ url, prefix, timeout: 30_000 }) },
    stop: async () => {
      await laboratory.stop()
      await server.stop()
    },
  }
})
