import { Branches } from '../../../src/testing/simulation/branches.ts'
import { Seeded } from '../../../src/testing/simulation/seeded.ts'
import { deeds, RegisterWalk, type Deed, type WalkSettings } from './register-walk.ts'
import type { Step } from './two-backends.ts'

/**
 * Where the entry may be before. Step 0 knows the old store only, and nothing has moved yet. At step 3 nothing that is still in
 * the old store counts.
 */
export function beforesOf(steps: readonly Step[]): readonly WalkSettings['before'][] {
  if (steps.includes(0)) return ['old', 'none']
  return ['old', 'next', 'none', 'moved on', ...(steps.includes(3) ? [] : ['moved back' as const])]
}

/** One walk by chance: two to four processes. The same seed makes the same walk, but for the nonces of its markers. */
export async function registerWalk(steps: readonly Step[], seed: number): Promise<string | undefined> {
  const choices = new Seeded(seed)
  const befores = beforesOf(steps)
  const before = befores[choices.pick(befores.length)] ?? 'old'
  const processes = 2 + choices.pick(3)
  const some = choices.pick(2) === 0 ? deeds : Array.from({ length: 2 }, () => pick(choices, deeds))
  const scripts = Array.from({ length: processes }, () =>
    Array.from({ length: 1 + choices.pick(3) }, () => pick(choices, some)),
  )
  const faults = [0, 0, 8, 20][choices.pick(4)] ?? 0
  const crash =
    choices.pick(2) === 0 ? { process: choices.pick(processes), call: 1 + choices.pick(8) } : undefined
  const pauses = choices.pick(3) === 0 ? [3 + choices.pick(20), 10 + choices.pick(30)] : []
  return new RegisterWalk(choices, { steps, scripts, before, faults, crash, pauses }).run()
}

/**
 * Two processes, each with one deed, in every order in which their calls can follow each other; a process may crash at a call.
 *
 * @returns how many orders there were, and what went wrong in the first bad one
 */
export async function everyOrder(
  settings: Pick<WalkSettings, 'steps' | 'before' | 'crash'>,
  one: Deed,
  other: Deed,
): Promise<{ orders: number; wrong: string | undefined }> {
  const branches = new Branches()
  let orders = 0
  do {
    orders += 1
    const scripts = [[one], [other]]
    const wrong = await new RegisterWalk(branches, { faults: 0, pauses: [], ...settings, scripts }).run()
    if (wrong !== undefined) return { orders, wrong: `${one} beside ${other}\n${wrong}` }
  } while (branches.next())
  return { orders, wrong: undefined }
}

function pick<T>(choices: Seeded, from: readonly T[]): T {
  const picked = from[choices.pick(from.length)]
  if (picked === undefined) throw new Error('there is nothing to choose from')
  return picked
}
