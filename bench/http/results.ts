// What was measured, and the medians of it.
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

  /** µs of processor time per request over the framework alone. */
  overhead(kind: Kind, scenario: Scenario['name']): number | undefined {
    const cost = this.median(kind, scenario, 'cpu')
    const bare = kinds.find(({ library, engine }) => library === 'bare' && engine === kind.framework)
    const base = bare && this.median(bare, scenario === 'anonymous' ? 'anonymous' : 'untouched', 'cpu')
    return cost === undefined || base === undefined ? undefined : cost - base
  }
}

function nameOf({ library, engine }: Kind, scenario: string, measure: string): string {
  return [library, engine, scenario, measure].join(' ')
}

function median(samples: readonly number[]): number | undefined {
  return samples.toSorted((one, other) => one - other)[Math.floor(samples.length / 2)]
}
