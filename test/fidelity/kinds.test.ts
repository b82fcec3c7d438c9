import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { SessionError, SessionManager } from '../../src/index.ts'
import { FileStore } from '../../src/stores/file.ts'
import { registry } from './classes.ts'
import { fingerprint } from './fingerprint.ts'
import { kinds } from './kinds.ts'
import { temporaryFolder } from '../support/cleanup.ts'

const manager = new SessionManager({ registry })

for (const [name, make, fate] of kinds) {
  test(`${name}: ${fate}, through set, commit and get`, async (t) => {
    const session = manager.begin()
    try {
      session.set('value', make())
      await manager.commit(session)
    } catch (error) {
      t.is(fate, 'refused', String(error))
      t.true(error instanceof SessionError)
      t.regex(error instanceof SessionError ? error.code : '', /^ERR_SESSION_(VALUE|LIMIT)$/)
      t.regex(String(error), /SessionError: value\b/) // its path begins with the key
      return
    }
    const found = await manager.open(session.id)
    t.is(fingerprint(found.get('value')), fingerprint(make()))
    t.is(fate, 'exact')
    // Reading a value changes nothing: it is written as the same text again.
    t.is(await manager.commit(found), 'ok')
    t.false(found.isNew)
  })
}

test(`at least 80 kinds are stored exactly or refused, and the stored ones come back in another process`, async (t) => {
  t.true(kinds.length >= 80)
  const folder = await temporaryFolder('kts-fidelity-')
  const writer = new SessionManager({ store: new FileStore({ folder }), registry })
  const session = writer.begin()
  const exact = kinds.filter(([, , fate]) => fate === 'exact')
  for (const [name, make] of exact) session.set(name, make())
  await writer.commit(session)
  const args = ['--import=tsx', path.resolve('test/fidelity/reader.ts'), folder, session.id]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  t.deepEqual(JSON.parse(stdout), { stored: exact.length, differing: [] })
})
