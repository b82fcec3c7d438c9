import path from 'node:path'
import test from 'ava'
import { SqliteStore, type SqliteClient } from '../../src/stores/sqlite.ts'
import { storeContract, type StoreHarness } from '../../src/testing/index.ts'
import { temporaryFolder } from '../support/cleanup.ts'
import { drivers } from './sqlite/drivers.ts'

const base = await temporaryFolder('kts-sqlite-')

let clock = Date.now()
const turned = {
  now: () => clock,
  advance: (ms: number) => void (clock += ms),
  still: true,
  sweeps: true,
  counts: true,
} as const

const file = path.join(base, 'by-path', 'sessions.db')
const harnesses: Record<string, StoreHarness> = {
  'a path': { ...turned, open: () => new SqliteStore({ path: file, sync: false, now: turned.now }) },
}
for (const [name, open] of Object.entries(drivers)) {
  const client = open(path.join(base, `${name.replaceAll(/\W/g, '-')}.db`))
  test.after.always(`${name} closes`, () => client.close())
  let isBroken = false
  const breakable: SqliteClient = {
    exec(sql) {
      if (isBroken) throw Object.assign(new Error('disk I/O error'), { code: 'SQLITE_IOERR_WRITE' })
      return client.exec(sql)
    },
    prepare(sql) {
      const statement = client.prepare(sql)
      return {
        all(...values) {
          if (isBroken) throw Object.assign(new Error('disk I/O error'), { code: 'SQLITE_IOERR_WRITE' })
          return statement.all(...values)
        },
      }
    },
  }
  harnesses[name] = {
    ...turned,
    open: () => new SqliteStore({ client: breakable, sync: false, now: turned.now }),
    break: async () => void (isBroken = true),
    mend: async () => void (isBroken = false),
  }
}

const { traits } = new SqliteStore({ path: file })
for (const [name, harness] of Object.entries(harnesses)) {
  for (const requirement of storeContract.filter(({ appliesTo }) => appliesTo(traits, harness))) {
    // One after another: these requirements turn the clock that all of them read.
    test.serial(`sqlite, ${name}: ${requirement.title}`, async (t) => {
      await t.notThrowsAsync(requirement.check(harness))
    })
  }
}
