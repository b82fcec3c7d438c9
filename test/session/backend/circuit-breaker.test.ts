import test from 'ava'
import { createBreaker, type CircuitBreaker } from '../../../src/session/backend/circuit-breaker.ts'

function fixture(): { breaker: CircuitBreaker; clock: { now: number }; fail: (times: number) => boolean[] } {
  const clock = { now: 0 }
  const breaker = createBreaker(() => clock.now)
  const fail = (times: number): boolean[] => Array.from({ length: times }, () => breaker.failed(breaker.pass))
  return { breaker, clock, fail }
}

test('five failures in a row open it, and it tells so once', (t) => {
  const { breaker, fail } = fixture()
  t.deepEqual(fail(5), [false, false, false, false, true])
  t.is(breaker.state, 'open')
  t.deepEqual(fail(5), [false, false, false, false, false])
})

test('an answer in between begins the count anew', (t) => {
  const { breaker, fail } = fixture()
  fail(4)
  t.is(breaker.succeeded(), undefined)
  fail(4)
  t.is(breaker.state, 'closed')
})

test('after a second one call tries, and no other until it is over', (t) => {
  const { breaker, clock, fail } = fixture()
  fail(5)
  clock.now = 999
  t.false(breaker.probe())
  clock.now = 1_000
  t.true(breaker.probe())
  t.is(breaker.state, 'probing')
  t.false(breaker.probe())
})

test('a try that fails is followed by another second of rest, one that succeeds ends it', (t) => {
  const { breaker, clock, fail } = fixture()
  fail(5)
  clock.now = 1_000
  breaker.probe()
  t.deepEqual(fail(1), [false])
  t.is(breaker.state, 'open')
  clock.now = 1_999
  t.false(breaker.probe())
  clock.now = 2_000
  t.true(breaker.probe())
  clock.now = 2_500
  t.is(breaker.succeeded(), 2_500)
  t.is(breaker.state, 'closed')
})

test('what was asked before it opened says nothing about the store as it is now', (t) => {
  const { breaker, clock, fail } = fixture()
  const { pass } = breaker
  fail(5)
  clock.now = 1_000
  breaker.probe()
  t.false(breaker.failed(pass))
  t.is(breaker.state, 'probing')
  breaker.succeeded()
  for (let times = 0; times < 5; times += 1) breaker.failed(pass)
  t.is(breaker.state, 'closed')
})
