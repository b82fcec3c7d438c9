import type { Entry } from '../../store.ts'

/** One waiter at a time per key, each told what the one before left behind. */
interface Queue {
  tail: Promise<void>
  waiting: number
  latest: Entry | undefined
}

/**
 * Lets the requests of this process that contend for one session commit one after another, so that only other processes
 * can still get in between. Requests that meet no conflict, and find nobody waiting, never come here.
 */
export class KeyQueue {
  readonly #queues = new Map<string, Queue>()

  /** Whether somebody of this process is at it, so that a try out of turn would only be in the way. */
  taken(key: string): boolean {
    return this.#queues.has(key)
  }

  /**
   * Runs `turn` when everybody who came before is done. It gets the entry that the one before wrote, if any, which
   * saves a read, and returns the entry that it leaves. `wait` may give up waiting.
   */
  async take<T>(
    key: string,
    wait: (before: Promise<void>) => Promise<void>,
    turn: (latest: Entry | undefined) => Promise<[result: T, entry: Entry | undefined]>,
  ): Promise<T> {
    const queue = this.#queues.get(key) ?? { tail: Promise.resolve(), waiting: 0, latest: undefined }
    this.#queues.set(key, queue)
    queue.waiting += 1
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
      queue.waiting -= 1
      if (queue.waiting === 0) this.#queues.delete(key)
      // Whoever gave up may have left before the one in front of it did.
      void before.then(leave)
    }
  }
}

function noop(): void {}
