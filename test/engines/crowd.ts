import { setTimeout as sleep } from 'node:timers/promises'
import type { Site } from './site.ts'

/** How long a visitor looks at an answer, in ms. */
const PACE = 5

/** One visitor who counts in a session: how often the answer was yes, and how often it was trouble. */
interface Visitor {
  readonly id: string
  counted: number
  refused: number
}

/** Visitors who count in sessions of their own, by `/begin`, `/count` and `/look`, until they are told to stop. */
export class Crowd {
  readonly #site: Site
  readonly #visitors: readonly Visitor[]
  readonly #work: Promise<unknown>
  #isOver = false

  private constructor(site: Site, ids: readonly string[]) {
    this.#site = site
    this.#visitors = ids.map((id) => ({ id, counted: 0, refused: 0 }))
    this.#work = Promise.all(this.#visitors.map(async (visitor) => this.#count(visitor)))
  }

  static async gather(site: Site, howMany: number): Promise<Crowd> {
    const answers = await Promise.all(Array.from({ length: howMany }, async () => site.ask('/begin')))
    return new Crowd(
      site,
      answers.map(({ cookie = '' }) => cookie),
    )
  }

  /** How often they have counted by now, all of them. */
  get counted(): number {
    return this.#visitors.reduce((sum, { counted }) => sum + counted, 0)
  }

  /** Until they have counted so many times more. */
  async more(howMany: number): Promise<void> {
    const enough = this.counted + howMany
    while (this.counted < enough) await sleep(PACE)
  }

  /** Ends the work, and tells of each session what it holds and what it may hold, at least and at most. */
  async disperse(): Promise<
    readonly { readonly n: number; readonly least: number; readonly most: number }[]
  > {
    this.#isOver = true
    await this.#work
    return Promise.all(
      this.#visitors.map(async ({ id, counted, refused }) => ({
        n: Number((await this.#site.ask('/look', id)).text),
        least: counted,
        most: counted + refused,
      })),
    )
  }

  async #count(visitor: Visitor): Promise<void> {
    while (!this.#isOver) {
      const { status } = await this.#site.ask('/count', visitor.id)
      if (status === 200) visitor.counted += 1
      else visitor.refused += 1
      await sleep(PACE)
    }
  }
}
