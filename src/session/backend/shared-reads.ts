import type { Entry } from '../../store.ts'

type Load = () => Promise<Entry | undefined>
type Join = (loaded: Promise<Entry | undefined>) => Promise<Entry | undefined>

interface Batch {
  readonly loaded: Promise<Entry | undefined>
  readonly begin: () => void
}

/** The loads of one key. */
interface Lane {
  running: number
  /** A read that has not begun. It serves all requests that have come since the running ones began. */
  next: Batch | undefined
}

/** How many reads of one key run at the same time: a page and its parts ask together. */
const ABREAST = 4

/**
 * Coalesces reads of one key. A read in flight is never shared: it may predate a change that the client has seen. The next
 * read to begin serves all requests that wait.
 */
export class SharedReads {
  readonly #lanes = new Map<string, Lane>()

  /**
   * The entry under `key`, as it was when this was called or later: by `load`, or by one that serves others too, which
   * `shared` does and `join` waits for.
   */
  load(key: string, load: Load, shared: Load, join: Join): Promise<Entry | undefined> {
    const lane = this.#lanes.get(key) ?? { running: 0, next: undefined }
    this.#lanes.set(key, lane)
    if (lane.running < ABREAST) return this.#run(key, lane, load)
    lane.next ??= batch(() => this.#run(key, lane, shared))
    return join(lane.next.loaded)
  }

  async #run(key: string, lane: Lane, load: Load): Promise<Entry | undefined> {
    lane.running += 1
    try {
      return await load()
    } finally {
      lane.running -= 1
      const { next } = lane
      lane.next = undefined
      if (next !== undefined) next.begin()
      else if (lane.running === 0) this.#lanes.delete(key)
    }
  }
}

function batch(load: Load): Batch {
  let begin: () => void = noop
  const loaded = new Promise<Entry | undefined>((resolve) => {
    begin = (): void => resolve(load())
  })
  loaded.catch(noop) // those who wait for it may all have given up by then
  return { loaded, begin }
}

function noop(): void {}
