import type { Diagnosis, Finding } from '../../store.ts'
import { neighbours } from '../shared/neighbours.ts'

/** The first value of each row, by the name in front of it. */
type Variables = ReadonlyMap<string, string>

const NAMES = [
  'innodb_flush_log_at_trx_commit',
  'wsrep_on',
  'wsrep_sync_wait',
  'group_replication_group_name',
  'group_replication_consistency',
] as const

/** Asks a question whose rows are lists of values. */
export type Ask = (sql: string) => Promise<readonly (readonly unknown[])[]>

/** Looks at what a server acknowledges, and at how the nodes of a cluster read. */
export async function diagnoseMysql(ask: Ask, foreign: string): Promise<Diagnosis> {
  const list = NAMES.map((name) => `'${name}'`).join(', ')
  const variables = byName(await ask(`SHOW GLOBAL VARIABLES WHERE Variable_name IN (${list})`))
  const [[clock] = []] = await ask('SELECT UNIX_TIMESTAMP(SYSDATE(3)) * 1000')
  const findings = [flushing(variables), ...(await galera(variables, ask)), ...groupReplication(variables)]
  const [[rows, others] = []] = await ask(foreign)
  findings.push(neighbours(Number(rows), Number(others)))
  return { findings, clock: Number(clock) }
}

function flushing(variables: Variables): Finding {
  const value = variables.get('innodb_flush_log_at_trx_commit') ?? '1'
  const ok = value === '1'
  return {
    check: 'durability',
    ok,
    text: ok
      ? 'what is acknowledged survives the death of the machine'
      : `innodb_flush_log_at_trx_commit is ${value}, so a machine that dies loses what was acknowledged in the last second; set it to 1`,
  }
}

async function galera(variables: Variables, ask: Ask): Promise<readonly Finding[]> {
  if (variables.get('wsrep_on')?.toUpperCase() !== 'ON') return []
  const status = byName(await ask("SHOW GLOBAL STATUS LIKE 'wsrep_cluster_size'"))
  const nodes = Number(status.get('wsrep_cluster_size') ?? 1)
  return nodes > 1
    ? [reads('wsrep_sync_wait', (Number(variables.get('wsrep_sync_wait') ?? 0) & 1) === 1, 1)]
    : []
}

function groupReplication(variables: Variables): readonly Finding[] {
  if ((variables.get('group_replication_group_name') ?? '') === '') return []
  const consistency = variables.get('group_replication_consistency')?.toUpperCase() ?? 'EVENTUAL'
  const waits = ['BEFORE', 'AFTER', 'BEFORE_AND_AFTER'].includes(consistency)
  return [reads('group_replication_consistency', waits, 'AFTER')]
}

function reads(name: string, ok: boolean, value: number | string): Finding {
  return {
    check: 'cluster',
    ok,
    text: ok
      ? `${name} lets no node read what is older than what was acknowledged`
      : `a node may read what is older than what another has acknowledged, and users are logged out by it; set ${name} to ${value}, or connect to one node`,
  }
}

function byName(rows: readonly (readonly unknown[])[]): Variables {
  return new Map(rows.map(([name, value]) => [String(name).toLowerCase(), String(value)]))
}
