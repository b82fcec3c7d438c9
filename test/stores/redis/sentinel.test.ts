import test from 'ava'
import { redisSentinelServer } from '../../servers/redis-sentinel.ts'
import { documentedRights, openLaboratory, testContract, testRights } from './harness.ts'

const server = await redisSentinelServer()
const laboratory = await openLaboratory(server.url, 'sentinel', documentedRights)
test.after.always(async () => {
  await laboratory.stop()
  await server.stop()
})

await testContract('redis sentinel', laboratory.harness)
testRights('redis sentinel', laboratory, 'sentinel')
