import { createHash } from 'node:crypto'
import type { Cluster, Redis } from 'ioredis'
import { VERSION_LENGTH } from '../../store.ts'

/** A verb as one atomic script. It has one key, so it can run in a cluster. */
export interface Script {
  readonly lua: string
  readonly sha: string
}

// The stored version: the beginning of the payload, or '' if there is no entry.
const STORED = `local stored = redis.call('GETRANGE', KEYS[1], 0, ${VERSION_LENGTH - 1})`

/** Answers `[payload, ms left]`, after extending the life to ARGV[1] ms unless it is longer. */
export const READ: Script = script(`
local payload = redis.call('GET', KEYS[1])
if not payload then return false end
local left = redis.call('PTTL', KEYS[1])
if left >= 0 and tonumber(ARGV[1]) > left then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  left = tonumber(ARGV[1])
end
return {payload, left}`)

// A write that is sent twice, because the first answer was lost, finds its own version and answers 'ok'.

/** Stores payload ARGV[1] for ARGV[2] ms if there is no entry. */
export const CREATE: Script = script(`
${STORED}
if stored == string.sub(ARGV[1], 1, ${VERSION_LENGTH}) then return 'ok' end
if stored ~= '' then return 'exists' end
if tonumber(ARGV[2]) > 0 then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return 'ok'`)

/** Stores payload ARGV[2] for ARGV[3] ms if the stored version is ARGV[1]. */
export const REPLACE: Script = script(`
${STORED}
if stored == '' then return 'gone' end
if stored ~= ARGV[1] and stored ~= string.sub(ARGV[2], 1, ${VERSION_LENGTH}) then return 'conflict' end
if tonumber(ARGV[3]) > 0 then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
else redis.call('DEL', KEYS[1]) end
return 'ok'`)

/** Extends the life to ARGV[1] ms from now, unless it is longer. */
export const TOUCH: Script = script(`
local left = redis.call('PTTL', KEYS[1])
if left == -2 then return 'gone' end
if left >= 0 and tonumber(ARGV[1]) > left then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 'ok'`)

/** Removes the entry; if ARGV[1] is not empty, only if that is the stored version. */
export const DESTROY: Script = script(`
if ARGV[1] ~= '' then
  ${STORED}
  if stored ~= '' and stored ~= ARGV[1] then return 'conflict' end
end
if redis.call('DEL', KEYS[1]) == 0 then return 'gone' end
return 'ok'`)

/**
 * Does what the verbs do, with no effect: on a key that does not exist. So it is refused where they would be: on a replica, without
 * the rights, and for keys of another pattern. A server that is full or cannot save is none of that, and serves reads.
 */
export const PROBE: Script = script(`
if redis.call('GET', KEYS[1]) then return 'ok' end
redis.call('GETRANGE', KEYS[1], 0, 0)
redis.call('PTTL', KEYS[1])
for _, write in ipairs({{'SET', KEYS[1], '', 'PX', 1, 'XX'}, {'PEXPIRE', KEYS[1], 1}, {'DEL', KEYS[1]}}) do
  local answer = redis.pcall(unpack(write))
  local trouble = type(answer) == 'table' and answer.err
  if trouble and not (string.find(trouble, 'OOM') or string.find(trouble, 'MISCONF') or string.find(trouble, 'NOREPLICAS')) then
    return answer
  end
end
return 'ok'`)

/** Runs a script by its hash, in the automatic pipeline of ioredis; if the server does not know it, by its text. */
export async function runScript(
  client: Redis | Cluster,
  { lua, sha }: Script,
  key: string,
  args: readonly string[],
): Promise<unknown> {
  try {
    return await client.evalsha(sha, 1, key, ...args)
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
    return runAlone(client, { lua, sha }, key, args)
  }
}

/** Whether the server, or a proxy before it, takes no script by its hash: it may take the text. */
export function refusesHashes(error: unknown): boolean {
  if (!(error instanceof Error) || error.name !== 'ReplyError') return false
  if (/unknown command|unsupported|not supported|invalid request/i.test(error.message)) return true
  return /evalsha/i.test(error.message) && /NOPERM|not allowed|disabled|forbidden/i.test(error.message)
}

/** Runs a script by its text, in the automatic pipeline of ioredis. */
export async function runText(
  client: Redis | Cluster,
  { lua }: Script,
  key: string,
  args: readonly string[],
): Promise<unknown> {
  return client.eval(lua, 1, key, ...args)
}

/**
 * Runs a script by its text, in a pipeline of its own. A cluster client follows MOVED and ASK for a pipeline only if all of
 * its commands were answered so; in a shared pipeline of which a part moved, it would never learn the new address.
 */
export async function runAlone(
  client: Redis | Cluster,
  { lua }: Script,
  key: string,
  args: readonly string[],
): Promise<unknown> {
  const results = await client
    .pipeline()
    .eval(lua, 1, key, ...args)
    .exec()
  const [error, reply] = results?.[0] ?? [new Error('Connection is closed.')]
  if (error !== null) throw error
  return reply
}

function script(lua: string): Script {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') }
}
