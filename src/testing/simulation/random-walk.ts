import type { Store } from '../../store.ts'
import * as acts from './actions.ts'
import { Seeded, type Choices } from './choices.ts'
import { Run } from './simulation.ts'
import type { Time } from './virtual-time.ts'
import type { Verdict } from './violations.ts'
import type { Act } from './actions.ts'

/** What a request may do, and how often it does so. */
const repertoire: readonly (readonly [weight: number, act: Act])[] = [
  [6, acts.setOwn],
  [3, acts.set('a')],
  [2, acts.set('b')],
  [6, acts.count('n', 1)],
  [2, acts.count('m', 3)],
  [1, acts.reset('n')],
  [3, acts.alter],
  [4, acts.collect],
  [2, acts.remove('a')],
  [1, acts.remove('n')],
  [1, acts.remove('bag')],
  [2, acts.take('flash')],
  [1, acts.take('b')],
  [4, acts.claim('token')],
  [1, acts.claim('a')],
  [1, acts.set('token')],
  [1, acts.set('flash')],
  [1, acts.clear],
  [4, acts.regenerate],
  [2, acts.destroy],
  [1, acts.end],
  [3, acts.look],
  [6, acts.commit],
]
const bag: readonly Act[] = repertoire.flatMap(([weight, act]) => Array.from({ length: weight }, () => act))

/** Whether time passes in the walk of a seed: then it needs others that want it to pass. */
export function isLong(seed: number): boolean {
  return seed % 4 === 3
}

/** Three to five requests on one session, all by chance, and by the same chance for the same seed. */
export async function walk(stores: readonly Store[], time: Time, seed: number): Promise<Verdict> {
  const choices = new Seeded(seed)
  const run = new Run(stores, time, choices, 1 + choices.pick(2))
  await run.go([[acts.begin]], () => undefined)
  const faults = [0, 0, 4, 12][choices.pick(4)] ?? 0
  const overlaps = choices.pick(4) === 0 ? 3 : 0
  const pauses = isLong(seed) ? [2 + choices.pick(10), 12 + choices.pick(12)] : []
  // Half of the walks make do with a few acts, which then meet far more often (Groce's swarm testing).
  const some = Array.from({ length: 2 }, () => bag[choices.pick(bag.length)] ?? acts.look)
  const from = choices.pick(2) === 0 ? bag : [...some, acts.commit]
  const requests = Array.from({ length: 3 + choices.pick(3) }, () => request(choices, from, faults > 0))
  const idOf = (): string | undefined => {
    const [known, which] = [run.ids, choices.pick(8)]
    if (which === 0) return undefined
    return which < 3 ? known[choices.pick(known.length)] : known.at(-1)
  }
  await run.go(requests, idOf, { faults, overlaps, pauses })
  if (isLong(seed) && choices.pick(2) === 0) await run.outlive()
  await run.end()
  return run.verdict
}

/** One to five acts and a commit; where the store fails, another commit. */
function request(choices: Choices, from: readonly Act[], insisting: boolean): readonly Act[] {
  const all = Array.from({ length: 1 + choices.pick(5) }, () => from[choices.pick(from.length)] ?? acts.look)
  return [...all, acts.commit, ...(insisting ? [acts.commit] : [])]
}
