import type { Entry } from '../../store.ts'

/** The requests that wait for one key. */
interface Queue {
  /** Resolves when the last one in the queue is done. */
  tail: Promise<void>
  size: number
  /** The entry that the request before has stored. */
  latest: Entry | undefined
}

/**
 * A per-key mutex: requests of this process that conflict over one session commit one after another, so that only other
 * processes can still interfere. A request without a conflict, whose key has no queue, never comes here.
 */
export class KeyQueue {
  readonly #queues = new Map<string, Queue>()

  /** Whether requests of this process wait for this key, so that an attempt out of turn would only conflict. */
  has(key: string): boolean {
    return this.#queues.has(key)
  }

  /**
   * Runs `turn` when all requests that came before are done.
   *
   * @param wait waits for them, and may give up
   * @param turn gets the entry that the request before has stored, if any, and returns the one that it stored itself
   */
  async run<T>(
    key: string,
    wait: (before: Promise<void>) => Promise<void>,
    turn: (latest: Entry | undefined) => Promise<[result: T, entry: Entry | undefined]>,
  ): Promise<T> {
    const queue = this.#queues.get(key) ?? { tail: Promise.resolve(), size: 0, latest: undefined }
    this.#queues.set(key, queue)
    queue.size += 1
    const before = queue.tail
    let leave: () => void = noop
    queue.tail = new Promise((resolve) => {
      leave = resolve
    })
    try {
      await wait(before)
      const [result, entry] = await turn(queue.latest)
      queue.latest = entry
      return result
    } catch (error) {
      queue.latest = undefined
      throw error
    } finally {
      queue.size -= 1
      if (queue.size === 0) this.#queues.delete(key)
      // A request that gave up waiting may leave before the one in front of it.
      void before.then(leave)
    }
  }
}

function noop(): void {}
