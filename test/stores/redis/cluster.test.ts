import test from 'ava'
import { redisClusterServer } from '../../servers/redis-cluster.ts'
import { documentedRights, openLaboratory, testContract, testRights } from './harness.ts'

const server = await redisClusterServer()
const laboratory = await openLaboratory(server.url, 'cluster', documentedRights)
test.after.always(async () => {
  await laboratory.stop()
  await server.stop()
})

await testContract('redis cluster', laboratory.harness)
testRights('redis cluster', laboratory, 'cluster')
