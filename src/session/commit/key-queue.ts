import type { Entry } from '../../store.ts'

/** The requests that wait for one key. */
interface Queue {
  /** Begins the turn of each, in the order in which they run. The request whose turn it is, is not among them. */
  readonly waiting: (() => void)[]
  /** The entry that the request before has stored. */
  latest: Entry | undefined
}

/** How a request waits for its turn. */
export interface TurnOptions {
  /** Waits for the turn to begin, and may give up. */
  readonly wait: (turn: Promise<void>) => Promise<void>
  /** Goes before all that wait already: for what must not lose against a stream of commits. */
  readonly isUrgent?: boolean
}

/**
 * A per-key mutex: requests of this process that conflict over one session commit one after another, so that only other
 * processes can still interfere. A request without a conflict, whose key has no queue, never comes here.
 */
export class KeyQueue {
  readonly #queues = new Map<string, Queue>()
  /** The keys that requests of this process write to, or wait for: an attempt out of turn would only conflict. */
  readonly active: { has(key: string): boolean } = this.#queues

  /** Runs `turn` alone. It gets the entry that the request before has stored, if any, and returns the one that it stored itself. */
  async run<T>(
    key: string,
    options: TurnOptions,
    turn: (latest: Entry | undefined) => Promise<[result: T, entry: Entry | undefined]>,
  ): Promise<T> {
    const active = this.#queues.get(key)
    const queue = active ?? { waiting: [], latest: undefined }
    if (active === undefined) this.#queues.set(key, queue)
    else await this.#turn(key, queue, options)
    try {
      const [result, entry] = await turn(queue.latest)
      queue.latest = entry
      return result
    } catch (error) {
      queue.latest = undefined
      throw error
    } finally {
      this.#next(key, queue)
    }
  }

  async #turn(key: string, queue: Queue, { wait, isUrgent = false }: TurnOptions): Promise<void> {
    let begin: () => void = noop
    const turn = new Promise<void>((resolve) => {
      begin = resolve
    })
    if (isUrgent) queue.waiting.unshift(begin)
    else queue.waiting.push(begin)
    try {
      await wait(turn)
    } catch (error) {
      const at = queue.waiting.indexOf(begin)
      if (at !== -1) queue.waiting.splice(at, 1)
      else this.#next(key, queue) // its turn had just begun
      throw error
    }
  }

  #next(key: string, { waiting }: Queue): void {
    const begin = waiting.shift()
    if (begin === undefined) this.#queues.delete(key)
    else begin()
  }
}

function noop(): void {}
