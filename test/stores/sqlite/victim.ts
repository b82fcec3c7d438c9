// Does one act on a store and kills itself at one call of the driver: `victim.ts <file> <act> <step> <mode>`. The act `open` is the
// opening of the store. Prints how many calls there were if it gets to the end.
import { SqliteStore, type SqliteClient } from '../../../src/stores/sqlite.ts'
import { acts, START } from './acts.ts'
import { openClient } from './drivers.ts'

const [file = '', name = '', deadly, mode] = process.argv.slice(2)
const inner = openClient(file)
let steps = 0
let isCounting = name === 'open'

function step<T>(run: () => T): T {
  if (isCounting) steps += 1
  const isLast = isCounting && steps === Number(deadly)
  if (isLast && mode === 'before') process.kill(process.pid, 'SIGKILL')
  const result = run()
  if (isLast) process.kill(process.pid, 'SIGKILL')
  return result
}

const client: SqliteClient = {
  exec: (sql) => step(() => inner.exec(sql)),
  prepare(sql) {
    const statement = inner.prepare(sql)
    return { all: (...values) => step(() => statement.all(...values)) }
  },
}

const act = acts[name]
const store = new SqliteStore({ client, now: () => act?.now ?? START })
await store.open()
isCounting = true
await act?.run(store)
process.stdout.write(String(steps))
