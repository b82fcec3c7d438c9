import type { Cluster, Redis } from 'ioredis'

/** So many keys the server looks at in one go; well below a millisecond. */
const BATCH = 1_000

/**
 * How many keys of a store there are on all primaries, counted a batch at a time so that no server is held up. While Redis
 * shrinks its table a key may be met twice.
 */
export async function countKeys(
  client: Redis | Cluster,
  prefix: string,
  within: (step: () => Promise<[string, string[]]>) => Promise<[string, string[]]>,
): Promise<number> {
  // The driver adds a prefix of its own to keys, but not to patterns.
  const whole = `${client.options.keyPrefix ?? ''}${prefix}`
  const pattern = `${whole.replace(/[*?[\]\\^]/g, String.raw`\$&`)}*`
  const servers = 'nodes' in client ? client.nodes('master') : [client]
  let sum = 0
  for (const server of servers) {
    let cursor = '0'
    do {
      const from = cursor
      const [next, keys] = await within(async () => server.scan(from, 'MATCH', pattern, 'COUNT', BATCH))
      // Another store's prefix may begin with this one; a key of ours has nothing but these characters behind it.
      sum += keys.filter((key) => /^[\w-]+$/.test(key.slice(whole.length))).length
      cursor = next
    } while (cursor !== '0')
  }
  return sum
}
