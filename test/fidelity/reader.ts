// Runs in a process that did not write the session. For each stored kind it prints whether the value came back unchanged.
import { SessionManager } from '../../src/index.ts'
import { FileStore } from '../../src/stores/file.ts'
import { registry } from './classes.ts'
import { fingerprint } from './fingerprint.ts'
import { kinds } from './kinds.ts'

const [folder = '', id = ''] = process.argv.slice(2)
const manager = new SessionManager({ store: new FileStore({ folder }), registry })
const session = await manager.open(id)
const differing = kinds
  .filter(([name]) => session.has(name))
  .filter(([name, make]) => fingerprint(session.get(name)) !== fingerprint(make()))
console.log(
  JSON.stringify({
    stored: session.size,
    differing: differing.map(([name, make]) => [name, fingerprint(make()), fingerprint(session.get(name))]),
  }),
)
