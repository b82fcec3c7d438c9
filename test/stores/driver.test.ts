import test from 'ava'
import { SessionError } from '../../src/errors.ts'
import { driverError } from '../../src/stores/shared/driver.ts'

const missing: Readonly<Record<string, Error>> = {
  Node: Object.assign(new Error("Cannot find package 'pg' imported from /app/index.js"), {
    code: 'ERR_MODULE_NOT_FOUND',
  }),
  require: Object.assign(new Error("Cannot find module 'pg'"), { code: 'MODULE_NOT_FOUND' }),
  "Plug'n'Play": Object.assign(new Error('Your application tried to access "pg", but it is not declared'), {
    code: 'MODULE_NOT_FOUND',
  }),
  Vite: new Error('Could not resolve "pg" imported by "koa-typed-session". Is it installed?'),
  ncc: new ReferenceError('require is not defined'),
}
for (const [where, cause] of Object.entries(missing)) {
  test(`a driver that is missing is told as that, as ${where} says it`, (t) => {
    const error = driverError('pg', cause)
    if (!(error instanceof SessionError)) return t.fail()
    t.is(error.code, 'ERR_SESSION_OPTIONS')
    t.is(error.message, 'the package pg is missing: npm install pg')
    t.is(error.cause, cause)
  })
}

test('a subpath of a driver that is missing names the driver', (t) => {
  const cause = Object.assign(new Error("Cannot find module 'mysql2/promise'"), { code: 'MODULE_NOT_FOUND' })
  t.is((driverError('mysql2', cause) as Error).message, 'the package mysql2 is missing: npm install mysql2')
})

test('what a driver lacks or throws itself stays as it is', (t) => {
  for (const cause of [
    Object.assign(new Error("Cannot find module 'pg-pool'"), { code: 'MODULE_NOT_FOUND' }),
    new TypeError('pg is broken'),
    'pg',
  ])
    t.is(driverError('pg', cause), cause)
})
