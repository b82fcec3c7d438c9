import { randomBytes } from 'node:crypto'
import test from 'ava'
import type { Cluster, Redis } from 'ioredis'
import { createRedisClient } from '../../../src/stores/redis/connection.ts'
import { parseRedisConfig, type RedisMode } from '../../../src/stores/redis/config.ts'
import { RedisStore } from '../../../src/stores/redis.ts'
import { storeContract, type StoreHarness } from '../../../src/testing/index.ts'

// Makes every session of the store older, on the server itself.
const AGE = `
local cursor = '0'
repeat
  local page = redis.call('SCAN', cursor, 'MATCH', ARGV[1] .. '*', 'COUNT', 1000)
  cursor = page[1]
  for _, key in ipairs(page[2]) do redis.call('PEXPIRE', key, redis.call('PTTL', key) - ARGV[2]) end
until cursor == '0'`

/** A Redis to try stores on, beside whatever else goes on there. */
export interface Laboratory {
  /** With a user of its own, so that only its connections are broken. */
  readonly url: string
  readonly prefix: string
  readonly admin: Redis | Cluster
  readonly harness: StoreHarness
  stop(): Promise<void>
}

export async function openLaboratory(url: string, mode: RedisMode): Promise<Laboratory> {
  const admin = await connect(url, mode)
  const user = `kts-${randomBytes(6).toString('hex')}`
  const prefix = `${user}:`
  async function onAll(...command: [string, ...string[]]): Promise<void> {
    await Promise.all(nodesOf(admin, 'all').map(async (node) => node.call(...command)))
  }
  await onAll('ACL', 'SETUSER', user, 'on', '>secret', '~*', '&*', '+@all')
  const own = url.replace(/^(rediss?:\/\/)(?:[^@]*@)?/, `$1${user}:secret@`)
  return {
    url: own,
    prefix,
    admin,
    harness: {
      open: () => new RedisStore({ url: own, mode, prefix, timeout: 2_000, maxBytes: 2 ** 21 }),
      now: Date.now,
      advance: async (ms) => {
        await Promise.all(nodesOf(admin, 'master').map(async (node) => node.eval(AGE, 0, prefix, ms)))
      },
      counts: true,
      break: async () => {
        await onAll('ACL', 'SETUSER', user, 'off')
        await onAll('CLIENT', 'KILL', 'USER', user)
      },
      mend: async () => onAll('ACL', 'SETUSER', user, 'on'),
      refuse: async () => onAll('ACL', 'SETUSER', user, '-set'),
      admit: async () => onAll('ACL', 'SETUSER', user, '+set'),
    },
    stop: async () => {
      await onAll('ACL', 'DELUSER', user)
      admin.disconnect()
    },
  }
}

/** Tests that the stores of a harness keep the contract, one requirement after the other. */
export async function testContract(who: string, harness: StoreHarness): Promise<void> {
  const store = await harness.open()
  for (const requirement of storeContract) {
    if (!requirement.appliesTo(store.traits, harness)) continue
    test.serial(`${who}: ${requirement.title}`, async (t) => {
      await requirement.check(harness)
      t.pass()
    })
  }
  await store.close()
}

/** A client to look with from outside of any store. */
export async function connect(url: string, mode: RedisMode = 'single'): Promise<Redis | Cluster> {
  const client = await createRedisClient(parseRedisConfig(url, mode), 10_000, undefined)
  client.on('error', () => undefined)
  await client.connect()
  return client
}

export function nodesOf(client: Redis | Cluster, role: 'all' | 'master'): readonly Redis[] {
  return 'nodes' in client ? client.nodes(role) : [client]
}
