import type { StoreCalls } from './backend/store-calls.ts'
import { startDeadline } from '../stores/shared/deadlines.ts'
import type { SessionState } from './state.ts'
import type { ManagerSettings } from './settings.ts'

/** What changes sessions in the store: commits, claims and logouts, each over by its deadline. */
export class OperationQueue {
  readonly #calls: StoreCalls
  readonly #timeout: number
  #underWay = 0
  #whenOver: (() => void) | undefined

  constructor({ commitTimeout }: ManagerSettings, calls: StoreCalls) {
    this.#calls = calls
    this.#timeout = commitTimeout
  }

  /** One operation at a time per session object: a second one waits for the first, whatever became of it. */
  async run<T>(state: SessionState, operation: () => Promise<T>): Promise<T> {
    const deadline = startDeadline('commitTimeout', this.#timeout)
    this.#underWay += 1
    try {
      while (state.pending !== undefined) {
        const before = state.pending.catch(() => {})
        await this.#calls.queue(before, deadline)
      }
      state.deadline = deadline
      const pending = operation()
      state.pending = pending
      try {
        return await pending
      } finally {
        if (state.pending === pending) state.pending = undefined
      }
    } finally {
      this.#underWay -= 1
      if (this.#underWay === 0) this.#whenOver?.()
    }
  }

  /** Resolves when none is under way; that is by the last one's deadline. */
  async over(): Promise<void> {
    if (this.#underWay === 0) return
    await new Promise<void>((resolve) => {
      this.#whenOver = resolve
    })
  }
}
