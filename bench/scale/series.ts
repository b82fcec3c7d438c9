// Costs along an axis, measured in turns.

/** One request of a kind, repeated: resolves when all are answered, to a check of what they did if there is one. */
export type Work = () => Promise<void | (() => Promise<void>)>

export interface Point {
  readonly x: number
  /** How many requests one run of each work is. */
  readonly requests: number
  readonly work: Readonly<Record<string, Work>>
}

/** µs of processor time per request, by the name of the work, one for each point. */
export type Curves = ReadonlyMap<string, readonly number[]>

/**
 * Each point has its turn in each round, so that a busy moment of the machine hits all of them. The lower quartile of the
 * rounds is taken: what disturbs a measurement only ever adds to it.
 */
export async function measureCurves(points: readonly Point[], rounds: number): Promise<Curves> {
  const samples = new Map<string, number[][]>()
  for (let round = -6; round < rounds; round += 1) {
    for (const [index, { requests, work }] of points.entries()) {
      for (const [name, run] of Object.entries(work)) {
        const before = process.cpuUsage()
        const check = await run()
        const { user, system } = process.cpuUsage(before)
        await check?.()
        if (round < 0) continue // V8 compiles what it meets often
        const curve = samples.get(name) ?? points.map(() => [])
        curve[index]?.push((user + system) / requests)
        samples.set(name, curve)
      }
    }
  }
  return new Map(Array.from(samples, ([name, curve]) => [name, curve.map(lowerQuartile)]))
}

/** By how much y grows per unit of x, over the upper half of the axis. */
export function slope(points: readonly Point[], curve: readonly number[]): number {
  const from = Math.floor(points.length / 2)
  const to = points.length - 1
  return ((curve[to] ?? 0) - (curve[from] ?? 0)) / ((points[to]?.x ?? 0) - (points[from]?.x ?? 0))
}

/** The last point's cost as a multiple of the first one's. */
export function growth(curve: readonly number[]): number {
  return (curve.at(-1) ?? 0) / (curve[0] ?? 0)
}

function lowerQuartile(samples: readonly number[]): number {
  return samples.toSorted((one, other) => one - other)[Math.floor(samples.length / 4)] ?? 0
}
