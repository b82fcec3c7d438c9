import type { Diagnosis, Finding } from '../../store.ts'
import { neighbours } from '../shared/neighbours.ts'

/** Judges the row of the statement `diagnosis`. */
export function diagnosePostgres(row: readonly (string | null)[]): Diagnosis {
  const [fsync, pages, commit, recovery, clock, persistence, rows, foreign] = row
  const findings = [
    durability(fsync, pages, commit, persistence === 'u'),
    role(recovery),
    neighbours(Number(rows), Number(foreign)),
  ]
  return { findings, clock: Number(clock) }
}

function durability(
  fsync: string | null | undefined,
  pages: string | null | undefined,
  commit: string | null | undefined,
  isUnlogged: boolean,
): Finding {
  const check = 'durability'
  if (fsync === 'off')
    return {
      check,
      ok: false,
      text: 'fsync is off, so a machine that dies may damage all data; set it to on',
    }
  if (pages === 'off')
    return {
      check,
      ok: false,
      text: 'full_page_writes is off, so a machine that dies may damage data; set it to on',
    }
  if (isUnlogged)
    return {
      check,
      ok: false,
      text: 'the table is unlogged, so a server that dies empties it; ALTER TABLE … SET LOGGED',
    }
  if (commit === 'off')
    return {
      check,
      ok: false,
      text: 'synchronous_commit is off, so a server that dies loses what was acknowledged in the last second; set it to on for the user of the sessions',
    }
  return { check, ok: true, text: 'what is acknowledged survives the death of the machine' }
}

function role(recovery: string | null | undefined): Finding {
  const isStandby = recovery === 't' || recovery === 'true'
  return {
    check: 'replication',
    ok: !isStandby,
    text: isStandby
      ? 'the server is a standby, which stores nothing; connect to its primary'
      : 'the server is the primary',
  }
}
