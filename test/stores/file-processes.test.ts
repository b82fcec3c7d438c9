import * as fs from 'node:fs/promises'
import * as os from 'node:os'
import * as path from 'node:path'
import test from 'ava'
import { FileStore } from '../../src/stores/file.ts'
import { assertTidy, KEY, OLD } from './file/acts.ts'
import { Children } from './file/child.ts'

const base = await fs.mkdtemp(path.join(os.tmpdir(), 'kts-file-processes-'))
test.after.always(async () => fs.rm(base, { recursive: true, force: true }))

test('of 1,000 increments by four processes none is lost', async (t) => {
  const children = await Children.compile(base)
  const folder = path.join(base, 'sessions')
  const store = new FileStore({ folder })
  await store.create(KEY, `${OLD.slice(0, 21)} 0`, Date.now() + 3_600_000)

  const running = [1, 2, 3, 4].map(async () => children.run('worker', folder, KEY, '250'))
  for (const { code, stderr } of await Promise.all(running)) {
    t.is(stderr, '')
    t.is(code, 0)
  }
  t.is((await store.read(KEY))?.payload.slice(22), '1000')
  await assertTidy(folder, 1)
})
