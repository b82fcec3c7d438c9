// What was asked for, as ratios of one run, and whether it was reached.
import { table } from '../page.ts'
import { OURS, type Kind, type Scenario } from './kind.ts'
import type { Results } from './results.ts'

interface Goal {
  readonly what: string
  readonly engine: string
  readonly scenario: Scenario['name']
  /** What ours is divided by: that of another library, or of another scenario of ours. */
  readonly than: { readonly library: string } | { readonly scenario: Scenario['name'] }
  readonly most: number
  /** With what the framework takes, which is the same on both sides. */
  readonly whole?: boolean
}

const list: readonly Goal[] = [
  ...(['untouched', 'read', 'write'] as const).map((scenario): Goal =>
    beside('memory', scenario, 'koa-session', 0.25),
  ),
  beside('memory', 'anonymous', 'koa-session', 0.5),
  beside('redis', 'read', 'koa-session', 0.5),
  beside('redis', 'write', 'koa-session', 0.5),
  beside('cookie', 'read', 'iron-session', 1),
  beside('cookie', 'write', 'iron-session', 1),
  beside('cookie', 'read', 'secure-session', 1),
  beside('cookie', 'write', 'secure-session', 1),
  ...cart('read', 1.5),
  ...cart('change', 2),
]

/** The goal leaves open whether Koa's own time counts, so both are told. */
function cart(action: 'read' | 'change', most: number): Goal[] {
  const plain = action === 'read' ? 'read' : 'write'
  return [true, false].map((whole) => ({
    what: `memory: a cart ${action}, by a plain ${plain}, ${whole ? 'with' : 'without'} what Koa takes`,
    engine: 'memory',
    scenario: `cart-${action}` as const,
    than: { scenario: plain },
    most,
    whole,
  }))
}

export function goals(results: Results, kinds: readonly Kind[]): string {
  const find = (library: string, engine: string): Kind | undefined =>
    kinds.find((kind) => kind.library === library && kind.engine === engine)
  const rows: string[][] = []
  for (const { what, engine, scenario, than, most, whole = false } of list) {
    const mine = find(OURS, engine)
    const other = 'library' in than ? find(than.library, engine) : mine
    if (mine === undefined || other === undefined) continue
    const of = (kind: Kind, name: Scenario['name']): number | undefined =>
      whole ? results.cost(kind, name) : results.overhead(kind, name)
    const cost = of(mine, scenario)
    const theirs = of(other, 'library' in than ? scenario : than.scenario)
    if (cost !== undefined && theirs !== undefined) rows.push(row(what, cost / theirs, most))
  }
  const [mine, peer] = [find(OURS, 'redis'), find('koa-session', 'redis')]
  for (const scenario of ['read', 'write'] as const) {
    const wait = mine && results.median(mine, scenario, 'p99')
    const theirs = peer && results.median(peer, scenario, 'p99')
    if (wait !== undefined && theirs !== undefined) {
      rows.push(row(`redis: p99 of a ${scenario} at a fixed rate, by koa-session's`, wait / theirs, 1))
    }
  }
  return table(['', 'measured', 'at most', ''], rows)
}

function beside(engine: string, scenario: Scenario['name'], library: string, most: number): Goal {
  return { what: `${engine}: ${scenario}, by ${library}'s`, engine, scenario, than: { library }, most }
}

function row(what: string, ratio: number, most: number): string[] {
  return [what, ratio.toFixed(2), String(most), verdict(ratio, most)]
}

/** A cost below nothing is noise: then the run tells nothing. */
function verdict(ratio: number, most: number): string {
  if (!(ratio > 0)) return 'unknown'
  return ratio <= most ? 'yes' : 'no'
}
