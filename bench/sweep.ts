// A million expired rows go away while 200 requests a second are served: `npm run bench:sweep`.
import { setTimeout as delay } from 'node:timers/promises'
import { createConnection } from 'mysql2/promise'
import pg from 'pg'
import { SessionManager } from '../src/index.ts'
import { freshDatabase, mariadbServer } from '../test/servers/mariadb.ts'
import { emptyDatabase, postgresServer } from '../test/servers/postgres.ts'

const ROWS = Number(process.env['KTS_ROWS'] ?? 1_000_000)
const RATE = 200 // requests a second
const payload = `kts1 ${'x'.repeat(16)} 1 300\n"pad" J "${'x'.repeat(290)}"\n`

/** One database, and how to fill it with rows that expired an hour ago. */
interface Subject {
  readonly provider: string
  readonly config: string
  fill(): Promise<void>
  stop(): Promise<void>
}

async function mysql(): Promise<Subject> {
  const server = await mariadbServer()
  const { url } = await freshDatabase(server)
  const fill = async (): Promise<void> => {
    const connection = await createConnection(url)
    await connection.query(
      `INSERT INTO session (session_key, session_data, session_expiry)
       SELECT SHA2(seq, 256), ?, (UNIX_TIMESTAMP() - 3600) * 1000 FROM seq_1_to_${ROWS}`,
      [payload],
    )
    await connection.end()
  }
  return { provider: 'mysql', config: url, fill, stop: async () => server.stop() }
}

async function postgres(): Promise<Subject> {
  const server = await postgresServer()
  const { url } = await emptyDatabase(server)
  const fill = async (): Promise<void> => {
    const client = new pg.Client(url)
    await client.connect()
    await client.query(
      `INSERT INTO session (session_key, session_data, session_expiry, session_due)
       SELECT encode(sha256(n::text::bytea), 'hex'), $1, now() - interval '1 hour', now() - interval '1 hour'
       FROM generate_series(1, ${ROWS}) n`,
      [payload],
    )
    await client.query('ANALYZE session')
    await client.end()
  }
  return { provider: 'postgres', config: url, fill, stop: async () => server.stop() }
}

/** Opens, changes and commits a session, 200 times a second, until told to end; returns how long each took, in ms. */
async function serve(
  manager: SessionManager,
  ids: readonly string[],
  until: Promise<unknown>,
): Promise<number[]> {
  const times: number[] = []
  const underWay = new Set<Promise<void>>()
  const end = new AbortController()
  void until.finally(() => end.abort())
  const startedAt = performance.now()
  for (let sent = 0; !end.signal.aborted; sent += 1) {
    const due = startedAt + (sent * 1_000) / RATE
    if (due > performance.now()) await delay(due - performance.now())
    const request = visit(manager, ids[sent % ids.length] ?? '').then(
      () => void times.push(performance.now() - due),
    )
    underWay.add(request)
    void request.finally(() => underWay.delete(request))
  }
  await Promise.all(underWay)
  return times.toSorted((one, other) => one - other)
}

async function visit(manager: SessionManager, id: string): Promise<void> {
  const session = await manager.open(id)
  session.update('n', (n = 0) => n + 1)
  await manager.commit(session)
}

const at = (times: readonly number[], part: number): string =>
  (times[Math.floor(times.length * part)] ?? 0).toFixed(1)

console.log(`${ROWS.toLocaleString('en')} expired rows, ${RATE} requests/s of one read and one change each\n`)
console.log('engine     sweep      p50 before/during   p99 before/during   rows left')
for (const make of [mysql, postgres]) {
  const subject = await make()
  const manager = new SessionManager({
    provider: subject.provider,
    providerConfig: subject.config,
    sweepInterval: 0,
  })
  const sessions = Array.from({ length: 200 }, () => manager.begin().set('n', 0))
  for (const session of sessions) await manager.commit(session)
  const ids = sessions.map(({ id }) => id)
  await subject.fill()
  await serve(manager, ids, delay(3_000)) // warm
  const before = await serve(manager, ids, delay(10_000))
  const startedAt = performance.now()
  let removed = 0
  const sweep = (async () => {
    // 0 tells that all is gone, or that another process is sweeping; here there is none.
    for (let done = -1; done !== 0; removed += done) done = await manager.sweep()
  })()
  const during = await serve(manager, ids, sweep)
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1)
  console.log(
    `${subject.provider.padEnd(10)} ${`${seconds} s`.padEnd(10)} ${`${at(before, 0.5)} / ${at(during, 0.5)} ms`.padEnd(19)} ${`${at(before, 0.99)} / ${at(during, 0.99)} ms`.padEnd(19)} ${ROWS - removed}`,
  )
  await manager.close()
  await subject.stop()
}
