import test from 'ava'
import { Deadlines, startDeadline } from '../../../src/stores/shared/deadlines.ts'

/** What keeps the process alive. */
const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length

test('a call that waits for its deadline does not keep the process alive', (t) => {
  const before = timers()
  const held = setTimeout(() => {}, 60_000)
  t.is(timers(), before + 1)
  clearTimeout(held)
  const deadlines = new Deadlines()
  for (let ms = 60_000; ms > 0; ms -= 10_000)
    void deadlines.within(startDeadline('timeout', ms), new Promise(() => {}), () => new Error('late'))
  t.is(timers(), before)
})

test('a deadline that passes rejects its call, and no other', async (t) => {
  const awake = setInterval(() => {}, 1_000)
  const deadlines = new Deadlines()
  const never = new Promise(() => {})
  const later = deadlines.within(startDeadline('timeout', 60_000), never, () => new Error('later'))
  await t.throwsAsync(
    deadlines.within(startDeadline('timeout', 1), never, () => new Error('late')),
    { message: 'late' },
  )
  t.is(await Promise.race([later, Promise.resolve('waits')]), 'waits')
  clearInterval(awake)
})
