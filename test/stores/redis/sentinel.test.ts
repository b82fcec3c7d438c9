import test from 'ava'
import { redisSentinelServer } from '../../servers/redis-sentinel.ts'
import { openLaboratory, testContract } from './harness.ts'

const server = await redisSentinelServer()
const laboratory = await openLaboratory(server.url, 'sentinel')
test.after.always(async () => {
  await laboratory.stop()
  await server.stop()
})

await testContract('redis sentinel', laboratory.harness)
