import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
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
  readonly user: string
  readonly prefix: string
  readonly admin: Redis | Cluster
  readonly harness: StoreHarness
  stop(): Promise<void>
}

/** The rights that the documentation names for the store, with a prefix of its own, as the arguments of `ACL SETUSER`. */
export async function documentedRights(mode: RedisMode, prefix: string): Promise<readonly string[]> {
  const page = await readFile('docs/stores/redis.md', 'utf8')
  const [, rights = ''] = /^ACL SETUSER shop reset on >password (.*)$/m.exec(page) ?? []
  const [, more = ''] = /^\| a Cluster, on every node \| `(.*)` \|$/m.exec(page) ?? []
  const all = [...rights.split(' '), ...(mode === 'cluster' ? more.replaceAll('\\', '').split(' ') : [])]
  return all.map((right) => right.replace('~session:', `~${prefix}`))
}

/** Everything, for clients of whatever kind. */
const ALL = async (): Promise<readonly string[]> => ['~*', '&*', '+@all']

export async function openLaboratory(
  url: string,
  mode: RedisMode,
  rightsOf: typeof documentedRights = ALL,
): Promise<Laboratory> {
  const admin = await connect(url, mode)
  const user = `kts-${randomBytes(6).toString('hex')}`
  const prefix = `${user}:`
  async function onAll(...command: [string, ...string[]]): Promise<void> {
    await Promise.all(nodesOf(admin, 'all').map(async (node) => node.call(...command)))
  }
  await onAll('ACL', 'SETUSER', user, 'reset', 'on', '>secret', ...(await rightsOf(mode, prefix)))
  const own = url.replace(/^(rediss?:\/\/)(?:[^@]*@)?/, `$1${user}:secret@`)
  return {
    url: own,
    user,
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

/** Tests that the rights of the documentation are no more than they have to be, after the contract was tested with them. */
export function testRights(who: string, { admin, user, url, prefix }: Laboratory, mode: RedisMode): void {
  test.serial(
    `${who}: nothing that the store does needs more rights than the documentation names`,
    async (t) => {
      const logs = await Promise.all(
        nodesOf(admin, 'all').map(async (node) => node.call('ACL', 'LOG', '128')),
      )
      const refused = (logs.flat() as readonly (readonly unknown[])[]).map((entry) =>
        Object.fromEntries(
          entry.flatMap((name, at) => (at % 2 === 0 ? [[String(name), entry[at + 1]]] : [])),
        ),
      )
      // `break` switches the user off, which is the reason `auth`; to refuse writes, the harness takes `set` away. That `info` is
      // left out is documented.
      const isOurs = ({ username, reason, object }: Record<string, unknown>): boolean =>
        username === user && reason !== 'auth' && !['info', 'set'].includes(String(object))
      t.deepEqual(refused.filter(isOurs), [])
    },
  )

  test.serial(
    `${who}: the rights of the documentation have no dangerous command, and lead to no other key`,
    async (t) => {
      for (const node of nodesOf(admin, 'master')) {
        const rules = (await node.call('ACL', 'GETUSER', user)) as readonly unknown[]
        const commands = String(rules[rules.indexOf('commands') + 1])
        const granted = [...commands.matchAll(/\+(\S+)/g)].map(([, name]) => name)
        t.true(granted.length >= 8, commands)
        t.regex(commands, /^-@all/)
        for (const category of ['dangerous', 'admin']) {
          const names = (await node.call('ACL', 'CAT', category)) as readonly string[]
          t.deepEqual(
            granted.filter((name) => names.includes(String(name))),
            [],
            category,
          )
        }
        t.is(rules[rules.indexOf('keys') + 1], `~${prefix}*`)
        t.is(rules[rules.indexOf('channels') + 1], '')
      }
      const client = await connect(url, mode)
      t.teardown(() => client.disconnect())
      const refused = async (command: string, ...args: readonly string[]): Promise<void> =>
        void (await t.throwsAsync(
          client.call(command, [...args]),
          { message: /NOPERM|No permissions|can't (?:run|access)/i },
          command,
        ))
      await refused('flushall')
      await refused('flushdb')
      await refused('swapdb', '0', '1')
      await refused('keys', '*')
      await refused('config', 'get', '*')
      await refused('shutdown', 'nosave')
      await refused('info')
      await refused('get', 'other:key')
      await refused('del', 'other:key')
      await refused('eval', "return redis.call('GET', KEYS[1])", '1', 'other:key')
      await refused('eval', "return redis.call('FLUSHALL')", '0')
      await refused('eval', "return redis.call('SET', 'other:key', '1')", '0')
    },
  )
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
