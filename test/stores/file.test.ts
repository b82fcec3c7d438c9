import * as fs from 'node:fs/promises'
import * as os from 'node:os'
import * as path from 'node:path'
import test from 'ava'
import { FileStore } from '../../src/stores/file.ts'
import { storeContract, type StoreHarness } from '../../src/testing/index.ts'

const base = await fs.mkdtemp(path.join(os.tmpdir(), 'kts-file-'))
test.after.always(async () => fs.rm(base, { recursive: true, force: true }))

let clock = Date.now()
const now = (): number => clock
const folder = path.join(base, 'contract')
const harness: StoreHarness = {
  open: () => new FileStore({ folder, now, sync: false }),
  now,
  advance: (ms) => void (clock += ms),
  still: true,
  sweeps: true,
  counts: true,
  // A plain file in the place of the folder: everything fails, for root too.
  break: async () => {
    await fs.rename(folder, `${folder}.away`)
    await fs.writeFile(folder, '')
  },
  mend: async () => {
    await fs.rm(folder)
    await fs.rename(`${folder}.away`, folder)
  },
}

const { traits } = new FileStore({ folder })
for (const promise of storeContract.filter(({ appliesTo }) => appliesTo(traits, harness))) {
  // One after another: these promises turn the clock that all of them read.
  test.serial(`the file store: ${promise.title}`, async (t) => {
    await t.notThrowsAsync(promise.check(harness))
  })
}
