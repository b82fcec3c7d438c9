// What was measured: the medians of it, and the least of what only ever gets more.
import { kinds, type Kind, type Scenario } from './kind.ts'
import type { Cost, Waits } from './round.ts'

type Measure = keyof Cost | keyof Waits

export class Results {
  readonly #samples = new Map<string, number[]>()

  add(kind: Kind, scenario: Scenario, measured: Cost | Waits): void {
    for (const [measure, value] of Object.entries(measured)) {
      const name = nameOf(kind, scenario.name, measure)
      const samples = this.#samples.get(name) ?? []
      samples.push(Number(value))
      this.#samples.set(name, samples)
    }
  }

  /** The median of the rounds, or `undefined` where it was not measured. */
  median(kind: Kind, scenario: Scenario['name'], measure: Measure): number | undefined {
    return median(this.#samples.get(nameOf(kind, scenario, measure)) ?? [])
  }

  /** µs of processor time per request, in the quietest round: whatever else a machine does only adds to it. */
  cost(kind: Kind, scenario: Scenario['name']): number | undefined {
    const samples = this.#samples.get(nameOf(kind, scenario, 'cpu'))
    return samples && Math.min(...samples)
  }

  /** The same over the framework alone. */
  overhead(kind: Kind, scenario: Scenario['name']): number | undefined {
    const cost = this.cost(kind, scenario)
    const bare = kinds.find(({ library, engine }) => library === 'bare' && engine === kind.framework)
    const base = bare && this.cost(bare, scenario === 'anonymous' ? 'anonymous' : 'untouched')
    return cost === undefined || base === undefined ? undefined : cost - base
  }
}

function nameOf({ library, engine }: Kind, scenario: string, measure: string): string {
  return [library, engine, scenario, measure].join(' ')
}

function median(samples: readonly number[]): number | undefined {
  return samples.toSorted((one, other) => one - other)[Math.floor(samples.length / 2)]
}
