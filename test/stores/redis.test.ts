import test from 'ava'
import { redisServer } from '../servers/redis.ts'
import { openLaboratory, testContract } from './redis/harness.ts'

const server = await redisServer()
const laboratory = await openLaboratory(server.url, 'single')
test.after.always(async () => {
  await laboratory.stop()
  await server.stop()
})

await testContract('redis', laboratory.harness)
