import type { Cluster, Redis } from 'ioredis'
import type { Diagnosis, Finding } from '../../store.ts'
import { namesIn, patternOf } from './keys.ts'

/** How many keys are asked for. */
const SAMPLE = 100
const SCANS = 20

/** Looks at what a server does when its memory is full and when it stops, and at what is stored under the prefix. */
export async function diagnoseRedis(client: Redis | Cluster, prefix: string): Promise<Diagnosis> {
  const servers = 'nodes' in client ? client.nodes('master') : [client]
  const findings: Finding[] = []
  const keys: string[] = []
  for (const server of servers) {
    const info = await whereAllowed(server.info())
    if (info !== undefined)
      findings.push(eviction(info), await persistence(server, info), ...replication(info))
    keys.push(...(await sample(server, prefix)))
  }
  return { findings: once(findings), keys: keys.slice(0, SAMPLE) }
}

function eviction(info: string): Finding {
  const policy = field(info, 'maxmemory_policy') ?? 'noeviction'
  const isLimited = Number(field(info, 'maxmemory') ?? 0) > 0
  const evicts = isLimited && policy !== 'noeviction'
  return {
    check: 'eviction',
    ok: !evicts,
    text: evicts
      ? `maxmemory-policy is ${policy}, so a server that is full ends sessions of users who are there; set it to noeviction`
      : 'a server that is full ends no session',
  }
}

async function persistence(server: Redis | Cluster, info: string): Promise<Finding> {
  const check = 'persistence'
  if (field(info, 'aof_enabled') === '1') {
    const [, fsync] = (await setting(server, 'appendfsync')) ?? []
    if (fsync === 'no')
      return {
        check,
        ok: false,
        text: 'appendfsync is no, so a machine that dies loses what was acknowledged in the last half a minute; set it to everysec or always',
      }
    return { check, ok: true, text: 'what is stored survives a restart, by the append-only file' }
  }
  const [, save] = (await setting(server, 'save')) ?? []
  if (save === '')
    return {
      check,
      ok: false,
      text: 'nothing is written to a disk, so a restart of the server ends all sessions; set appendonly yes',
    }
  if (field(info, 'rdb_last_bgsave_status') === 'err')
    return {
      check,
      ok: false,
      text: 'the last snapshot could not be written, and with stop-writes-on-bgsave-error no session can be stored; see the log of the server',
    }
  return {
    check,
    ok: true,
    text: 'snapshots survive a restart; what came after the last one is lost. appendonly yes keeps it',
  }
}

function replication(info: string): readonly Finding[] {
  if (field(info, 'role') === 'slave')
    return [{ check: 'replication', ok: false, text: 'the server is a replica; connect to its primary' }]
  const replicas = Number(field(info, 'connected_slaves') ?? 0)
  if (replicas === 0) return []
  return [
    {
      check: 'replication',
      ok: true,
      text: `there are ${replicas} replicas; a failover loses what they had not received yet, some milliseconds as a rule`,
    },
  ]
}

/** Names under the prefix, without it. */
async function sample(server: Redis | Cluster, prefix: string): Promise<readonly string[]> {
  const pattern = patternOf(prefix)
  const keys: string[] = []
  let cursor = '0'
  for (let scans = 0; scans < SCANS && keys.length < SAMPLE; scans += 1) {
    const [next, found] = (await whereAllowed(server.scan(cursor, 'MATCH', pattern, 'COUNT', 1_000))) ?? [
      '0',
      [],
    ]
    keys.push(...namesIn(found, prefix))
    cursor = next
    if (cursor === '0') break
  }
  return keys
}

async function setting(server: Redis | Cluster, name: string): Promise<readonly string[] | undefined> {
  const answer: unknown = await whereAllowed(server.config('GET', name))
  return Array.isArray(answer) && answer.length > 0 ? answer.map(String) : undefined
}

/** `undefined` where the user has no right to ask, or the server does not know the question. */
async function whereAllowed<T>(answer: Promise<T>): Promise<T | undefined> {
  return answer.catch(() => undefined)
}

function field(info: string, name: string): string | undefined {
  return new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(info)?.[1]
}

/** The servers of a cluster say the same; each fault and each thing that is right is told once. */
function once(findings: readonly Finding[]): readonly Finding[] {
  const told = new Map(findings.map((finding) => [`${finding.check} ${finding.text}`, finding]))
  const faulty = new Set([...told.values()].filter(({ ok }) => !ok).map(({ check }) => check))
  return [...told.values()].filter(({ ok, check }) => !ok || !faulty.has(check))
}
