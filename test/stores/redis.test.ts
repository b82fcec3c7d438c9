import test from 'ava'
import { redisServer } from '../servers/redis.ts'
import { documentedRights, openLaboratory, testContract, testRights } from './redis/harness.ts'

const server = await redisServer()
const laboratory = await openLaboratory(server.url, 'single', documentedRights)
test.after.always(async () => {
  await laboratory.stop()
  await server.stop()
})

await testContract('redis', laboratory.harness)
testRights('redis', laboratory, 'single')
