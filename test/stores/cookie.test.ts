import { randomBytes } from 'node:crypto'
import test from 'ava'
import { CookieStore } from '../../src/stores/cookie.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { storeContract, type StoreHarness } from '../../src/testing/index.ts'

const keys = [randomBytes(32)]

function harnessOf(revocable: boolean): StoreHarness {
  let time = 1_750_000_000_000
  const now = (): number => time
  const list = new MemoryStore({ now, maxEntries: Infinity, maxBytes: Infinity })
  list.close = async () => {} // it is every store's
  return {
    open: () => new CookieStore({ keys, now, ...(revocable && { revocations: list }) }),
    now,
    advance: (ms) => {
      time += ms
    },
    still: true,
    sweeps: revocable,
  }
}

for (const revocable of [false, true]) {
  const harness = harnessOf(revocable)
  const { traits } = await harness.open()
  for (const requirement of storeContract) {
    if (!requirement.appliesTo(traits, harness)) continue
    test(`cookie, ${revocable ? 'revocable' : 'alone'}: ${requirement.title}`, async (t) => {
      await requirement.check(harness)
      t.pass()
    })
  }
}

test('a payload of the largest size fits into three cookies, whatever it contains', async (t) => {
  const store = new CookieStore({ keys: [{ id: 'k'.repeat(16), secret: randomBytes(32) }], compress: false })
  const noise = randomBytes(store.traits.maxBytes)
    .toString('latin1')
    .replaceAll(/[^!-~]/g, '~')
  const { credential = '' } = await store.create('k'.repeat(128), noise, Number.MAX_SAFE_INTEGER)
  t.is(noise.length, store.traits.maxBytes)
  t.true(credential.length > 11_000 && credential.length <= 12_000, `${credential.length}`)
  t.is((await store.read(credential))?.payload, noise)
})
