/**
 * How cost grows: with the sessions stored, with the keys and the bytes of one, with the requests at work on one.
 *
 *     npm run bench:scale             writes its part of docs/performance.md, and its chart
 *     KTS_ROUNDS=4 KTS_SESSIONS=100000 npm run bench:scale
 *
 * It works on `SessionManager` and the memory store, without HTTP, so that what grows is not lost in what does not.
 */
import { machine, table, writeChart, writePart } from '../page.ts'
import { lineChart, type Axis } from './chart.ts'
import { measureMemory } from './memory.ts'
import { growth, measureCurves, slope, type Curves, type Point } from './series.ts'
import { fill, read, untouched, write, writeTogether, type Subject } from './subject.ts'

const ROUNDS = Number(process.env['KTS_ROUNDS'] ?? 12)
const MOST = Number(process.env['KTS_SESSIONS'] ?? 1_000_000)
const REQUESTS = 400

interface Experiment {
  readonly title: string
  readonly unit: string
  readonly points: readonly Point[]
  readonly curves: Curves
}

const memory = await measureMemory()
const others = [
  await run('Keys of a session', '', await along([1, 10, 100, 300, 1000], async (x) => fill(20, x, x * 100))),
  await run(
    'Size of a session',
    'KB',
    await along([0.1, 1, 10, 100, 300, 1000], async (x) => fill(4, 1, x * 1000)),
  ),
  await run('Requests at once on one session', '', await together([1, 4, 16, 64, 256])),
]
// Last: to collect the garbage beside a million sessions takes long, whoever made it.
const sessions = await run(
  'Sessions stored',
  '',
  await along(
    [1e3, 1e4, 1e5, 1e6].filter((x) => x <= MOST),
    async (x) => fill(x, 8, 1000),
  ),
)

const [keys, size, crowd] = others
const experiments = [sessions, ...others]
const text = [
  `${machine()}; ${new Date().toISOString().slice(0, 10)}. µs of processor time for a request without HTTP, in memory.\n`,
  ...experiments.map(tableOf),
  '![The same as curves](performance-scale.svg)\n',
  sentences(),
].join('\n')
console.log(text)
if (ROUNDS >= 12 && MOST >= 1e6) {
  await writePart('scale', text)
  await writeChart('performance-scale.svg', chart())
}

async function run(title: string, unit: string, points: readonly Point[]): Promise<Experiment> {
  process.stderr.write(`${title}\n`)
  const curves = await measureCurves(points, ROUNDS)
  return { title, unit, points: points.map(({ x, requests }) => ({ x, requests, work: {} })), curves }
}

async function along(xs: readonly number[], make: (x: number) => Promise<Subject>): Promise<Point[]> {
  const points: Point[] = []
  for (const x of xs) {
    const subject = await make(x)
    const work = {
      untouched: async () => untouched(subject, REQUESTS),
      'read a key': async () => read(subject, REQUESTS),
      'write a key': async () => write(subject, REQUESTS),
    }
    points.push({ x, requests: REQUESTS, work })
  }
  return points
}

async function together(xs: readonly number[]): Promise<Point[]> {
  const points: Point[] = []
  for (const x of xs) {
    const subject = await fill(1, 8, 1000)
    const times = Math.ceil(REQUESTS / x)
    const work = { 'write a key of its own': async () => writeTogether(subject, x, times) }
    points.push({ x, requests: x * times, work })
  }
  return points
}

function tableOf({ title, unit, points, curves }: Experiment): string {
  const head = [title, ...points.map(({ x }) => `${x.toLocaleString('en')} ${unit}`.trim())]
  return `${table(
    head,
    Array.from(curves, ([name, curve]) => [name, ...curve.map((y) => y.toFixed(1))]),
  )}\n`
}

/** The slopes in words. */
function sentences(): string {
  const of = (experiment: Experiment | undefined, work: string): readonly number[] =>
    experiment?.curves.get(work) ?? []
  const perKey = (work: string): string => (slope(keys?.points ?? [], of(keys, work)) * 1000).toFixed(0)
  const perKilobyte = (work: string): string => (slope(size?.points ?? [], of(size, work)) * 1000).toFixed(0)
  const times = (value: number): string => `${value.toFixed(1)} times`
  return [
    `- *Sessions stored*: from ${sessions.points[0]?.x.toLocaleString('en')} to ${sessions.points.at(-1)?.x.toLocaleString('en')} a read costs`,
    `  ${times(growth(of(sessions, 'read a key')))} as much and a write ${times(growth(of(sessions, 'write a key')))}: what is no longer in the processor's caches, and full collections, which look at every session.`,
    `- *Keys*: one more key that nobody touches adds ${perKey('untouched')} ns to an untouched request, ${perKey('read a key')} ns to a read of another key and`,
    `  ${perKey('write a key')} ns to a write of another key.`,
    `- *Size*: one more KB adds ${perKilobyte('untouched')} ns to an untouched request, ${perKilobyte('read a key')} ns to a read of another key and`,
    `  ${perKilobyte('write a key')} ns to a write of one. A write of a small key of a session of 1 MB allocates ${memory.copies.toFixed(2)} times its payload.`,
    `- *Requests at once*: with 256 on one session each costs ${times(growth(of(crowd, 'write a key of its own')))} what one alone does. None is lost.`,
    `- *Memory*: a session of 1 KB takes ${memory.ours.toFixed(0)} bytes of heap in the memory store, and ${memory.peers.toFixed(0)} as JSON in a Map under a UUID:`,
    `  ${(memory.ours - memory.peers).toFixed(0)} bytes more, of which the hash is the key.`,
  ].join('\n')
}

function chart(): string {
  const axes: Axis[] = experiments.map(({ title, unit, points, curves }) => ({
    title: unit === '' ? title : `${title}, ${unit}`,
    xs: points.map(({ x }) => x),
    lines: Array.from(curves, ([name, ys]) => ({ name, ys })),
  }))
  return lineChart('µs of processor time per request, both axes logarithmic', axes)
}
