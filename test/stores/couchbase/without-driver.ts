import { register } from 'node:module'
import { SessionError } from '../../../src/errors.ts'
import { CouchbaseStore } from '../../../src/stores/couchbase.ts'

// The driver is installed here, so it is looked for elsewhere.
const hook = `export async function resolve(name, context, next) {
  return next(name, name === 'couchbase' ? { ...context, parentURL: 'file:///nowhere/index.js' } : context)
}`
register(`data:text/javascript,${encodeURIComponent(hook)}`)

try {
  await new CouchbaseStore({ url: 'couchbase://user:password@localhost/bucket' }).open()
} catch (error) {
  if (error instanceof SessionError) console.log(error.code, error.message)
}
