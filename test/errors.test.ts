import test from 'ava'
import { SessionError } from '../src/errors.ts'

test('an error of another copy of the package is a SessionError', async (t) => {
  const copy = (await import(`${new URL('../src/errors.ts', import.meta.url).href}?copy`)) as {
    SessionError: typeof SessionError
  }
  t.not(copy.SessionError, SessionError)
  const error = new copy.SessionError('ERR_SESSION_STORE', 'from there')
  t.true(error instanceof SessionError)
  t.true(new SessionError('ERR_SESSION_STORE', 'from here') instanceof copy.SessionError)
})

test('no other error is a SessionError, and none is of a class that a program has derived from it', (t) => {
  class Derived extends SessionError {}
  for (const value of [new Error('x'), { code: 'ERR_SESSION_STORE' }, 'x', undefined, null])
    t.false(value instanceof SessionError)
  const error = new SessionError('ERR_SESSION_STORE', 'x')
  t.false(error instanceof Derived)
  const derived = new Derived('ERR_SESSION_STORE', 'x')
  t.true(derived instanceof Derived)
  t.true(derived instanceof SessionError)
  t.deepEqual(Object.getOwnPropertySymbols(error), [])
})
