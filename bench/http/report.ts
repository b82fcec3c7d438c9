// The part of docs/performance.md that this bench writes.
import { machine, table, writeChart, writePart } from '../page.ts'
import { barChart, type Panel } from './chart.ts'
import { goals } from './goals.ts'
import { fits, kinds, OURS, scenarios, type Kind, type Scenario } from './kind.ts'
import type { Results } from './results.ts'

export interface Circumstances {
  readonly rounds: number
  readonly visitors: number
  readonly visits: number
  readonly rate: number
  readonly kinds: readonly Kind[]
}

const engines = ['memory', 'redis', 'cookie', 'file', 'sqlite', 'postgres'] as const

export async function writeReport(results: Results, about: Circumstances): Promise<void> {
  const present = about.kinds.filter(({ library }) => library !== 'bare')
  const text = [
    `${machine()}; ${new Date().toISOString().slice(0, 10)}; ${about.rounds} rounds of ${about.visitors} visitors with`,
    `${about.visits} requests each. Processor time is that of the quietest round, since other work of the machine only adds to it; all else is the median.`,
    '\n### Processor time\n',
    'µs of the server’s processor per request, without what the framework takes alone',
    `(${bareTimes(results, about.kinds)}).\n`,
    costTable(results, present),
    '\n![The same as bars](performance.svg)',
    '\n### Rate, waits and traffic\n',
    `Requests a second when ${about.visitors} visitors come again as soon as they are answered; how long they wait when`,
    `${about.rate.toLocaleString('en')} come each second; bytes of HTTP per request; and what Redis is asked for each request.\n`,
    trafficTable(results, present),
    '\n### What was asked for\n',
    goals(results, about.kinds),
  ].join('\n')
  console.log(text)
  // A part of the kinds, or a short run, is for whoever works on the code.
  const isWhole = about.kinds.length === kinds.length && about.rounds >= 5 && about.visits >= 100
  if (!isWhole) return
  await writePart('http', text)
  await writeChart('performance.svg', chart(results, present))
}

function bareTimes(results: Results, present: readonly Kind[]): string {
  return present
    .filter(({ library }) => library === 'bare')
    .map((kind) => `${kind.name} ${show(results.cost(kind, 'untouched'))}`)
    .join(', ')
}

function costTable(results: Results, present: readonly Kind[]): string {
  const rows = present.map((kind) => [
    rowName(kind),
    ...scenarios.map((scenario) =>
      fits(kind, scenario) ? show(results.overhead(kind, scenario.name)) : '–',
    ),
  ])
  return table(['', ...scenarios.map(({ title }) => title)], rows)
}

function trafficTable(results: Results, present: readonly Kind[]): string {
  const rows = present.map((kind) => {
    const of = (scenario: Scenario['name'], measure: Parameters<Results['median']>[2], digits = 0): string =>
      show(results.median(kind, scenario, measure), digits)
    const waits = (scenario: Scenario['name']): string =>
      results.median(kind, scenario, 'p50') === undefined
        ? '–'
        : `${of(scenario, 'p50', 2)} / ${of(scenario, 'p99', 2)}`
    const redis = (scenario: Scenario['name']): string =>
      kind.engine === 'redis'
        ? `${of(scenario, 'commands', 1)}, ${of(scenario, 'backendCpu')} µs, ${of(scenario, 'backendBytes')} B`
        : '–'
    return [
      rowName(kind),
      of('read', 'rate'),
      of('write', 'rate'),
      waits('read'),
      waits('write'),
      of('read', 'bytes'),
      of('write', 'bytes'),
      redis('read'),
      redis('write'),
    ]
  })
  const head = ['read/s', 'write/s', 'read p50 / p99, ms', 'write p50 / p99, ms', 'HTTP read', 'HTTP write']
  return table(['', ...head, 'Redis read', 'Redis write'], rows)
}

function chart(results: Results, present: readonly Kind[]): string {
  const bars: readonly Scenario['name'][] = ['untouched', 'read', 'write']
  const panels: Panel[] = engines.map((engine) => ({
    title: engine,
    groups: present
      .filter((kind) => kind.engine === engine)
      .map((kind) => ({
        title: kind.name,
        ours: kind.library === OURS,
        values: bars.map((scenario) => Math.max(0, results.overhead(kind, scenario) ?? 0)),
      })),
  }))
  return barChart(
    'µs of processor time per request over the bare framework',
    bars,
    panels.filter(({ groups }) => groups.length > 0),
  )
}

function rowName({ engine, name }: Kind): string {
  return `${engine}: ${name}`
}

function show(value: number | undefined, digits = 0): string {
  return value === undefined || Number.isNaN(value) ? '–' : value.toFixed(digits)
}
