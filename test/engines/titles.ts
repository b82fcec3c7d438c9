// Prints, as JSON, the titles of the tests in the files that are named, without running any: `titles.ts <file>…`.
import { register } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

/** A stand-in for ava: every call, with any modifiers, only records the title. */
const ava = `
const note = (title) => typeof title === 'string' && globalThis.titles.push(title)
const test = new Proxy(note, { get: (_, name) => (name === 'then' ? undefined : test) })
export default test`
const hooks = `
export const resolve = (name, context, next) => name === 'ava'
  ? { url: ${JSON.stringify(`data:text/javascript,${encodeURIComponent(ava)}`)}, shortCircuit: true }
  : next(name, context)`

const titles: string[] = []
Object.assign(globalThis, { titles })
register(`data:text/javascript,${encodeURIComponent(hooks)}`)

const found: Record<string, readonly string[]> = {}
for (const file of process.argv.slice(2)) {
  titles.length = 0
  await import(pathToFileURL(path.resolve(file)).href)
  found[file] = [...titles]
}
process.stdout.write(JSON.stringify(found), () => process.exit(0))
