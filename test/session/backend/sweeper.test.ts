import { setImmediate as turn } from 'node:timers/promises'
import test from 'ava'
import type { GuardedStore } from '../../../src/session/backend/guarded-store.ts'
import { Sweeper } from '../../../src/session/backend/sweeper.ts'
import { Events, type SessionEvent } from '../../../src/session/events.ts'

// The clock and the timers of this process are turned by hand.
const clock = { now: 0 }
performance.now = () => clock.now
interface Timer {
  readonly fire: () => void
  isHolding: boolean
}
const timers: Timer[] = []
globalThis.setTimeout = ((fire: () => void) => {
  const timer: Timer = { fire, isHolding: true }
  timers.push(timer)
  return {
    ref: () => void (timer.isHolding = true),
    unref: () => void (timer.isHolding = false),
  }
}) as never // all that the sweeper uses of it

interface Fixture {
  readonly sweeper: Sweeper
  readonly events: SessionEvent[]
  /** Answers the batch that waits: with as many entries as it may have, after `ms`. */
  readonly answer: (removed: number, ms: number) => Promise<void>
  /** Fires the timer that was set last. */
  readonly fire: () => Promise<Timer>
}

function fixture(): Fixture {
  timers.length = 0
  let resolve: (removed: number) => void = () => {}
  const store = { sweep: async () => new Promise<number>((done) => (resolve = done)) }
  const guarded = { store, calls: { run: async (_verb: string, call: () => unknown) => call() } }
  const events: SessionEvent[] = []
  const sweeper = new Sweeper(
    guarded as unknown as GuardedStore, // all that the sweeper uses of it
    new Events((event) => events.push(event)),
    1_000,
  )
  const answer = async (removed: number, ms: number): Promise<void> => {
    clock.now += ms
    resolve(removed)
    await turn()
  }
  const fire = async (): Promise<Timer> => {
    const timer = timers.pop()
    if (timer === undefined) throw new Error('no timer is set')
    timer.fire()
    await turn()
    return timer
  }
  return { sweeper, events, answer, fire }
}

test.serial("the timer's sweep leaves what it has no time for to the next one", async (t) => {
  const { sweeper, events, answer, fire } = fixture()
  sweeper.start()
  await fire()
  await answer(500, 61_000)
  t.like(events, [{ type: 'swept', removed: 500 }])
  t.is(timers.length, 1, 'the next sweep')
})

test.serial(
  "a sweep that is asked for during the timer's removes all that has expired, and holds the process meanwhile",
  async (t) => {
    const { sweeper, events, answer, fire } = fixture()
    sweeper.start()
    await fire()
    await answer(500, 10)
    t.false(timers.at(-1)?.isHolding, 'the pause of the timer’s sweep')
    const asked = sweeper.sweep()
    t.true(timers.at(-1)?.isHolding, 'the same pause, for which the caller waits')
    await fire()
    await answer(500, 61_000)
    t.true(timers.at(-1)?.isHolding)
    await fire()
    await answer(200, 61_000)
    t.is(await asked, 1_200)
    t.like(events, [{ type: 'swept', removed: 1_200 }])
  },
)

test.serial('a sweep that is asked for when one is over begins anew', async (t) => {
  const { sweeper, answer } = fixture()
  const first = sweeper.sweep()
  await answer(3, 1)
  t.is(await first, 3)
  const second = sweeper.sweep()
  await answer(4, 1)
  t.is(await second, 4)
})
