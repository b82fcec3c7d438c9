import { setImmediate as tick } from 'node:timers/promises'
import type { Choices } from '../../src/testing/simulation/simulation.ts'
import { caller, type StoreCall } from './hooked-store.ts'

/** After so many turns of the event loop an operation that has not called the store waits for another one of its process. */
const PATIENCE_IN_TICKS = 12

/** What became of one operation. */
export type Outcome<T> = { readonly value: T } | { readonly error: unknown }

/** Lets the store calls of several operations pass one at a time, in an order that `choices` decides. */
export class Turns {
  readonly #choices: Choices
  /** Whether the operations share a manager, in which one may wait for another without calling the store. */
  readonly #isOneProcess: boolean
  readonly #waiting = new Map<string, () => void>()
  readonly #running = new Set<string>()
  /** The calls that have passed. */
  readonly order: string[] = []
  #moves = 0

  constructor(choices: Choices, isOneProcess: boolean) {
    this.#choices = choices
    this.#isOneProcess = isOneProcess
  }

  /** For `HookedStore.before`: the call waits for its turn. */
  readonly pass = async ({ caller: name, verb }: StoreCall): Promise<void> => {
    if (name === undefined) return
    await new Promise<void>((resolve) => {
      this.#waiting.set(name, resolve)
      this.#running.delete(name)
      this.#next()
    })
    this.order.push(`${name}: ${verb}`)
  }

  /** Runs the operations to their ends, and tells what became of each, in their order. */
  async run<T>(operations: Readonly<Record<string, () => Promise<T>>>): Promise<readonly Outcome<T>[]> {
    for (const name of Object.keys(operations)) this.#running.add(name)
    return Promise.all(
      Object.entries(operations).map(async ([name, operation]) => {
        try {
          return { value: await caller.run(name, operation) }
        } catch (error) {
          return { error }
        } finally {
          this.#running.delete(name)
          this.#next()
        }
      }),
    )
  }

  #next(): void {
    this.#moves += 1
    if (this.#running.size === 0) this.#let()
    else if (this.#isOneProcess) void this.#letIfStill(this.#moves)
  }

  async #letIfStill(move: number): Promise<void> {
    for (let ticks = 0; ticks < PATIENCE_IN_TICKS; ticks += 1) {
      await tick()
      if (move !== this.#moves) return
    }
    this.#let()
  }

  #let(): void {
    const names = [...this.#waiting.keys()].toSorted()
    const name = names[names.length > 1 ? this.#choices.pick(names.length) : 0]
    if (name === undefined) return
    const go = this.#waiting.get(name)
    this.#waiting.delete(name)
    this.#running.add(name)
    this.#moves += 1
    go?.()
    if (this.#isOneProcess) void this.#letIfStill(this.#moves)
  }
}
