import { register } from 'node:module'
import { SessionError } from '../../../src/errors.ts'
import { PostgresStore } from '../../../src/stores/postgres.ts'

// The driver is installed here, so it is looked for elsewhere.
const hook = `export async function resolve(name, context, next) {
  return next(name, name === 'pg' ? { ...context, parentURL: 'file:///nowhere/index.js' } : context)
}`
register(`data:text/javascript,${encodeURIComponent(hook)}`)

try {
  await new PostgresStore({ url: 'postgres://localhost/name' }).open()
} catch (error) {
  if (error instanceof SessionError) console.log(error.code, error.message)
}
