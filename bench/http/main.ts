/**
 * What a session costs a request, beside the peers.
 *
 *     npm run bench:http             eight rounds, some twenty minutes; writes docs/performance.md and its chart
 *     KTS_ROUNDS=1 npm run bench:http
 *
 * Every server runs in a process of its own, and all take turns within each round, so that a busy moment of the machine
 * hits all of them. The one that is measured has one core, everything else another.
 */
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { startRedis } from '../../test/servers/redis.ts'
import { emptyDatabase, startPostgres } from '../../test/servers/postgres.ts'
import { Backend } from './backend.ts'
import { fits, kinds, OURS, scenarios, type Kind } from './kind.ts'
import { writeReport } from './report.ts'
import { Results } from './results.ts'
import { measure, measureWaits, prepare } from './round.ts'
import { Subject } from './subject.ts'

const ROUNDS = Number(process.env['KTS_ROUNDS'] ?? 8)
const VISITORS = 16
const VISITS = Number(process.env['KTS_VISITS'] ?? 120)
/** So often each visitor has asked for everything before it counts: V8 compiles all the while until then. */
const WARM_UP = 400
const RATE = 5_000
const SECONDS = Number(process.env['KTS_SECONDS'] ?? 2)
const MEASURED_CORE = 0
const OTHER_CORE = 1

/** `KTS_ONLY=memory,redis`: only these engines; `KTS_BESIDE=koa-session`: ours and only these peers. */
const only = process.env['KTS_ONLY']?.split(',')
const beside = process.env['KTS_BESIDE']?.split(',')
const chosen = kinds.filter(
  ({ library, engine }) =>
    library === 'bare' ||
    (only?.includes(engine) !== false && (library === OURS || beside?.includes(library) !== false)),
)

execFileSync('taskset', ['-pc', String(OTHER_CORE), String(process.pid)], { stdio: 'ignore' })
const redis = await startRedis()
const postgres = await startPostgres()
const database = await emptyDatabase(postgres)
const folder = await mkdtemp(path.join(tmpdir(), 'kts-bench-'))
const databases = await mkdtemp(path.join(tmpdir(), 'kts-bench-'))
const urls: Record<string, string> = {
  redis: redis.url,
  postgres: database.url,
  file: folder,
  sqlite: path.join(databases, 'sessions.db'),
}
const backend = new Backend(redis.url)

const subjects: Subject[] = []
const results = new Results()
try {
  for (const kind of chosen) {
    const subject = await Subject.start(kind, urls[kind.engine] ?? '', MEASURED_CORE, VISITORS)
    subjects.push(subject)
    await prepare(subject)
    await warm(subject)
    process.stderr.write('.')
  }
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const scenario of scenarios) {
      for (const subject of subjects) {
        if (!fits(subject.kind, scenario)) continue
        const costs = await measure(subject, scenario, visitsOf(subject.kind), backendOf(subject.kind))
        results.add(subject.kind, scenario, costs)
      }
    }
    for (const subject of subjects) {
      if (!isPaced(subject.kind)) continue
      for (const scenario of scenarios) {
        if (scenario.name !== 'read' && scenario.name !== 'write') continue
        results.add(subject.kind, scenario, await measureWaits(subject, scenario, RATE, SECONDS))
      }
    }
    process.stderr.write(` ${round + 1}`)
  }
} finally {
  for (const subject of subjects) await subject.stop()
  await backend.close()
  await database.drop()
  await Promise.all([
    redis.stop(),
    postgres.stop(),
    rm(folder, { recursive: true }),
    rm(databases, { recursive: true }),
  ])
}
process.stderr.write('\n')
await writeReport(results, { rounds: ROUNDS, visitors: VISITORS, visits: VISITS, rate: RATE, kinds: chosen })

async function warm(subject: Subject): Promise<void> {
  for (const scenario of scenarios) {
    if (!fits(subject.kind, scenario)) continue
    const visits = Math.ceil((visitsOf(subject.kind) / VISITS) * WARM_UP)
    await measure(subject, scenario, visits, undefined)
  }
}

/** Those that wait for a disk need not be asked as often. */
function visitsOf({ engine }: Kind): number {
  return ['file', 'sqlite', 'postgres'].includes(engine) ? Math.ceil(VISITS / 6) : VISITS
}

function backendOf({ engine }: Kind): Backend | undefined {
  return engine === 'redis' ? backend : undefined
}

/** At a fixed rate only those in memory and in Redis are measured. */
function isPaced({ library, engine }: Kind): boolean {
  return library !== 'bare' && (engine === 'memory' || engine === 'redis')
}
