// All orders of what may happen, and random ones.
import { hash } from 'node:crypto'
import { World, type Setup, type Step } from './owner-world.ts'

/** What an exploration has found. */
export interface Explored {
  /** How many different states there are, and how many orders of steps lead through them. */
  readonly states: number
  readonly orders: number
  /** What was wrong first, and the steps that led there. */
  readonly wrong: string | undefined
}

/** Takes every order of the steps of a setup. States that are reached in several ways are explored once. */
export function explore(setup: Setup): Explored {
  const orders = new Map<string, number>()
  const path: Step[] = []
  let wrong: string | undefined

  function visit(world: World): number {
    if (wrong !== undefined) return 0
    if (world.wrong.length > 0) {
      wrong = report(setup, world.wrong, path)
      return 1
    }
    const key = hash('sha1', world.fingerprint(), 'base64')
    const known = orders.get(key)
    if (known !== undefined) return known
    const steps = world.steps()
    let count = 0
    for (const step of steps) {
      path.push(step)
      count += visit(world.after(step))
      path.pop()
    }
    if (steps.length === 0) {
      const found = world.conclude()
      if (found.length > 0) wrong ??= report(setup, found, path)
      count = 1
    }
    orders.set(key, count)
    return count
  }

  const count = visit(World.begin(setup))
  return { states: orders.size, orders: count, wrong }
}

/** One random order. Returns what was wrong. */
export function walk(setup: Setup, pick: (count: number) => number): string | undefined {
  const path: Step[] = []
  let world = World.begin(setup)
  for (;;) {
    if (world.wrong.length > 0) return report(setup, world.wrong, path)
    const steps = world.steps()
    const step = steps[pick(steps.length)]
    if (step === undefined) break
    path.push(step)
    world = world.after(step)
  }
  const found = world.conclude()
  return found.length === 0 ? undefined : report(setup, found, path)
}

/** What was wrong, and how it came to that, one step a line. */
function report(setup: Setup, wrong: readonly string[], path: readonly Step[]): string {
  const lines: string[] = []
  let world = World.begin(setup)
  for (const step of path) {
    lines.push(describe(world, step))
    world = world.after(step)
  }
  const scripts = setup.scripts.map((script) => script.map(([name, at]) => `${name} (${at})`).join(', '))
  return [...wrong, ...scripts, ...lines].join('\n')
}

function describe(world: World, step: Step): string {
  if (step.step === 'crash') return `${name(step.actor)} crashes`
  if (step.step === 'evicted') return `${step.key} is evicted`
  if (step.step === 'arrives') return `late: ${JSON.stringify(world.late[step.at]?.call)}`
  const request = world.actors[step.actor]?.request
  const call = request !== undefined && 'calls' in request ? request.calls[step.at] : request
  return `${name(step.actor)} ${JSON.stringify(call)}${step.how === 'done' ? '' : `: no answer, ${step.how}`}`
}

function name(actor: number): string {
  return String.fromCharCode(97 + actor)
}
