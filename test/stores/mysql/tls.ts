// Opens the store of a config string, and prints as JSON what comes of it.
import { MysqlStore } from '../../../src/stores/mysql.ts'

const store = MysqlStore.fromConfig(process.argv[2] ?? '', { now: Date.now })
const outcome = await store.open().then(
  () => 'open',
  (error: unknown) => (error instanceof Error ? error.message : error),
)
await store.close()
process.stdout.write(JSON.stringify(outcome))
