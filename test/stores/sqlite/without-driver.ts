import { register } from 'node:module'
import { SessionError } from '../../../src/errors.ts'
import { SqliteStore } from '../../../src/stores/sqlite.ts'

// The driver may be a part of this Node.js, and its package is installed here, so that is looked for elsewhere.
const hook = `export async function resolve(name, context, next) {
  return next(name, name === '@photostructure/sqlite' ? { ...context, parentURL: 'file:///nowhere/index.js' } : context)
}`
register(`data:text/javascript,${encodeURIComponent(hook)}`)
const { getBuiltinModule } = process
Object.assign(process, {
  getBuiltinModule: (name: string) => (name === 'node:sqlite' ? undefined : getBuiltinModule(name)),
})

try {
  await new SqliteStore({ path: '/nowhere/sessions.db' }).open()
} catch (error) {
  if (error instanceof SessionError) console.log(error.code, error.message)
}
