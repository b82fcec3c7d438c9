import { register } from 'node:module'
import { SessionError } from '../../../src/errors.ts'
import { MemcacheStore } from '../../../src/stores/memcache.ts'

// The driver is installed here, so it is looked for elsewhere.
const hook = `export async function resolve(name, context, next) {
  return next(name, name === 'memjs' ? { ...context, parentURL: 'file:///nowhere/index.js' } : context)
}`
register(`data:text/javascript,${encodeURIComponent(hook)}`)

try {
  await new MemcacheStore({ url: 'localhost:11211' }).open()
} catch (error) {
  if (error instanceof SessionError) console.log(error.code, error.message)
}
