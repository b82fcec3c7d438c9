import type { Store } from '../../store.ts'
import * as actions from './actions.ts'
import { Seeded, type Choices } from './choices.ts'
import { Simulation } from './simulation.ts'
import type { VirtualTime } from './virtual-time.ts'
import type { Violations } from './violations.ts'
import type { Action } from './actions.ts'

/** What a request may do, and how often it does so. */
const repertoire: readonly (readonly [weight: number, action: Action])[] = [
  [6, actions.setOwn],
  [3, actions.set('a')],
  [2, actions.set('b')],
  [6, actions.count('n', 1)],
  [2, actions.count('m', 3)],
  [1, actions.reset('n')],
  [3, actions.alter],
  [4, actions.collect],
  [2, actions.remove('a')],
  [1, actions.remove('n')],
  [1, actions.remove('bag')],
  [2, actions.take('flash')],
  [1, actions.take('b')],
  [4, actions.claim('token')],
  [1, actions.claim('a')],
  [1, actions.set('token')],
  [1, actions.set('flash')],
  [1, actions.clear],
  [4, actions.regenerate],
  [2, actions.destroy],
  [1, actions.end],
  [3, actions.look],
  [6, actions.commit],
]
const bag: readonly Action[] = repertoire.flatMap(([weight, action]) =>
  Array.from({ length: weight }, () => action),
)

/** Whether time passes in the walk of a seed: then it needs others that want it to pass. */
export function isLong(seed: number): boolean {
  return seed % 4 === 3
}

/** Three to five requests on one session, all by chance, and by the same chance for the same seed. */
export async function randomWalk(
  stores: readonly Store[],
  time: VirtualTime,
  seed: number,
): Promise<Violations> {
  const choices = new Seeded(seed)
  const simulation = new Simulation(stores, time, choices, 1 + choices.pick(2))
  await simulation.go([[actions.begin]], () => undefined)
  const faults = [0, 0, 4, 12][choices.pick(4)] ?? 0
  const overlaps = choices.pick(4) === 0 ? 3 : 0
  const pauses = isLong(seed) ? [2 + choices.pick(10), 12 + choices.pick(12)] : []
  // Half of the walks make do with a few actions, which then meet far more often (Groce's swarm testing).
  const some = Array.from({ length: 2 }, () => bag[choices.pick(bag.length)] ?? actions.look)
  const from = choices.pick(2) === 0 ? bag : [...some, actions.commit]
  const requests = Array.from({ length: 3 + choices.pick(3) }, () => request(choices, from, faults > 0))
  const idOf = (): string | undefined => {
    const [known, which] = [simulation.ids, choices.pick(8)]
    if (which === 0) return undefined
    return which < 3 ? known[choices.pick(known.length)] : known.at(-1)
  }
  await simulation.go(requests, idOf, { faults, overlaps, pauses })
  if (isLong(seed) && choices.pick(2) === 0) await simulation.outlive()
  await simulation.end()
  return simulation.violations
}

/** One to five actions and a commit; where the store fails, another commit. */
function request(choices: Choices, from: readonly Action[], insisting: boolean): readonly Action[] {
  const all = Array.from(
    { length: 1 + choices.pick(5) },
    () => from[choices.pick(from.length)] ?? actions.look,
  )
  return [...all, actions.commit, ...(insisting ? [actions.commit] : [])]
}
