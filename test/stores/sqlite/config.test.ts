import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { SqliteStore } from '../../../src/stores/sqlite.ts'
import { parseSqliteConfig, type SqliteConfig } from '../../../src/stores/sqlite/config.ts'
import { sqliteSettings } from '../../../src/stores/sqlite/options.ts'

const sound: Readonly<Record<string, SqliteConfig>> = {
  './sessions/sessions.db': { path: './sessions/sessions.db' },
  '  sessions.db ': { path: 'sessions.db' },
  'C:\\data\\sessions.db': { path: 'C:\\data\\sessions.db' },
  'what? 100%.db': { path: 'what? 100%.db' },
  'sqlite:sessions.db': { path: 'sessions.db' },
  'sqlite:./a%20b.db?sync=false': { path: './a b.db', sync: false },
  'sqlite:///var/lib/sessions.db?table=admin&timeout=250&sync=true': {
    path: '/var/lib/sessions.db',
    table: 'admin',
    timeout: 250,
    sync: true,
  },
  '{"path":"sessions.db"}': { path: 'sessions.db' },
  '{"path":"sessions.db","table":"admin","timeout":250,"sync":false}': {
    path: 'sessions.db',
    table: 'admin',
    timeout: 250,
    sync: false,
  },
}
for (const [config, expected] of Object.entries(sound)) {
  test(`the config string ${config} is understood`, (t) => {
    t.deepEqual(parseSqliteConfig(config), expected)
  })
}

const wrong: Readonly<Record<string, RegExp>> = {
  '': /the path is empty/,
  'sqlite:': /the path is empty/,
  'sqlite:?sync=false': /the path is empty/,
  'sqlite://host/sessions.db': /a path begins with a third \//,
  'sqlite:100%.db': /the path has a % that begins no %XX/,
  'sqlite:x.db?snyc=false': /there is an unknown setting.*did you mean sync\?/,
  'sqlite:x.db?sync=no': /sync is neither true nor false/,
  'sqlite:x.db?timeout=soon': /timeout is not a number/,
  'sqlite:x.db?sync=true&sync=false': /a parameter is given twice/,
  '{"path":': /the JSON is malformed/,
  '{"path":5}': /the path is empty/,
  '{"file":"x.db"}': /the path is empty/,
  '{"path":"x.db","sync":"false"}': /sync is neither true nor false/,
  '{"path":"x.db","table":5}': /table is not text/,
}
for (const [config, message] of Object.entries(wrong)) {
  test(`the config string ${config || 'that is empty'} is refused, with what is wrong and what is expected`, (t) => {
    const error = t.throws(() => SqliteStore.fromConfig(config), { code: 'ERR_SESSION_OPTIONS', message })
    t.regex(error?.message ?? '', /^sqlite: .*; (?:expected '\.|.*expected '\.)/)
  })
}

test('the path is made absolute at once, and the defaults are those of the documentation', (t) => {
  const { source, table, sync, timeout } = sqliteSettings({ path: 'sessions.db' })
  t.deepEqual([source, table, sync, timeout], [path.resolve('sessions.db'), 'session', true, 5_000])
})

for (const [what, options, message] of [
  ['a path of another kind', { path: 5 }, /path must name a file/],
  ['a directory', { path: './sessions/' }, /path must name a file, not a directory/],
  ['a file URL', { path: 'file:sessions.db?mode=ro' }, /path must be the path of a file, not a URL/],
  ['memory', { path: ':memory:' }, /a database in memory would be lost with the process/],
  ['both', { path: 'x.db', client: { exec() {}, prepare() {} } }, /give either path or client/],
  ['a table that is no plain name', { path: 'x.db', table: 'a"b' }, /table must be a plain name/],
  ['a table of SQLite', { path: 'x.db', table: 'sqlite_session' }, /table must be a plain name/],
  ['sync that is no switch', { path: 'x.db', sync: 'off' }, /sync must be true or false/],
  ['a timeout of no length', { path: 'x.db', timeout: 0 }, /timeout must be a whole number/],
  ['a clock that is no function', { path: 'x.db', now: 5 }, /now must be a function/],
] as const) {
  test(`options: ${what} is refused`, (t) => {
    t.throws(() => Reflect.construct(SqliteStore, [options]), { code: 'ERR_SESSION_OPTIONS', message })
  })
}

test('without node:sqlite and without the package the first verb says what to do', async (t) => {
  const script = path.join(import.meta.dirname, 'without-driver.ts')
  const { stdout } = await promisify(execFile)(process.execPath, ['--import=tsx', script])
  t.is(
    stdout,
    `ERR_SESSION_OPTIONS sqlite: Node.js ${process.versions.node} has no node:sqlite: run Node.js 22.13 or newer, ` +
      'or npm install @photostructure/sqlite, or give a client, such as client: new Database(path) of better-sqlite3\n',
  )
})
