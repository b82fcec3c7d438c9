import { setTimeout as sleep } from 'node:timers/promises'
import type { Site } from './site.ts'

/** How long a visitor waits between two requests, in ms. */
const PACE = 5

/** One visitor who counts in a session: how many requests succeeded, and how many failed. */
interface Visitor {
  readonly id: string
  counted: number
  refused: number
}

/** Visitors who count, each in a session, by `/begin`, `/count` and `/look`, until they are stopped. */
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

  /** How many counts have succeeded so far, in all sessions. */
  get counted(): number {
    return this.#visitors.reduce((sum, { counted }) => sum + counted, 0)
  }

  /** Resolves when this many more counts have succeeded. */
  async more(howMany: number): Promise<void> {
    const enough = this.counted + howMany
    while (this.counted < enough) await sleep(PACE)
  }

  /** Stops the visitors. Returns for each session its count, and the lowest and highest count that it may have. */
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
