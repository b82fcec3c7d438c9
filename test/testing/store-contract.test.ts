import test from 'ava'
import type { Entry, Written } from '../../src/store.ts'
import { storeContract, type StoreHarness, type StoreRequirement } from '../../src/testing/index.ts'
import { answers } from './broken/answers.ts'
import { expiry } from './broken/expiry.ts'
import type { Broken } from './broken/broken.ts'
import { compareAndSwap } from './broken/compare-and-swap.ts'
import { touch } from './broken/touch.ts'
import { failures } from './broken/failures.ts'
import { keyIsolation } from './broken/key-isolation.ts'
import { durability } from './broken/durability.ts'
import { payloads } from './broken/payloads.ts'
import { sweepAndCount } from './broken/sweep-and-count.ts'
import { races } from './broken/races.ts'
import { upserts } from './broken/upserts.ts'
import { ClientStore, RevocableClientStore } from './client-store.ts'
import { Backend, harnessOf, HonestStore } from './honest-store.ts'

/** A store on the client that accepts every credential. */
class CredulousStore extends ClientStore {
  override mark(): string {
    return 'x'
  }
}

/** A store on the client that forgets revocations too soon. */
class ForgetfulStore extends RevocableClientStore {
  override async destroy(key: string, base?: Entry): Promise<'ok' | 'gone'> {
    return super.destroy(key, base, this.backend.time + 60_000)
  }
}

/** A store on the client whose replaced credential belongs to another key. */
class StrayingStore extends ClientStore {
  override async replace(key: string, payload: string, expiresAt: number): Promise<Written> {
    return this.create(`${key}x`, payload, expiresAt)
  }
}

const faults: readonly Broken[] = [
  ...upserts,
  ...races,
  ...compareAndSwap,
  ...answers,
  ...expiry,
  ...touch,
  ...keyIsolation,
  ...payloads,
  ...durability,
  ...sweepAndCount,
  ...failures,
  {
    fault: 'a credential is not signed',
    requirement: 'a credential that the store did not issue is absent',
    open: (backend) => new CredulousStore(backend),
  },
  {
    fault: 'a revocation is forgotten while credentials are valid',
    requirement: 'destroy revokes all credentials of a session, for all stores',
    open: (backend) => new ForgetfulStore(backend),
  },
  {
    fault: 'a replaced credential belongs to another key',
    requirement: 'a credential carries the key that its entry was created under',
    open: (backend) => new StrayingStore(backend),
  },
]

function named(title: string): StoreRequirement {
  const requirement = storeContract.find((each) => each.title === title)
  if (requirement === undefined) throw new Error(`no requirement is called: ${title}`)
  return requirement
}

test('every requirement has its own title', (t) => {
  t.is(new Set(storeContract.map(({ title }) => title)).size, storeContract.length)
})

test('each requirement is broken by some faulty store', (t) => {
  const broken = new Set(faults.map(({ requirement }) => requirement))
  t.deepEqual(
    storeContract.map(({ title }) => title).filter((title) => !broken.has(title)),
    [],
  )
})

for (const { fault, requirement, open } of faults) {
  test(`the contract finds out that ${fault}`, async (t) => {
    const error: unknown = await named(requirement)
      .check(harnessOf(open))
      .then(() => undefined, Object)
    t.true(error instanceof Error, `the requirement held: ${requirement}`)
  })
}

/** Checks every requirement that applies to the stores of `harness`, and returns their titles. */
async function keeps(harness: StoreHarness): Promise<readonly string[]> {
  const { traits } = await harness.open()
  const applying = storeContract.filter((requirement) => requirement.appliesTo(traits, harness))
  await Promise.all(applying.map(async (requirement) => requirement.check(harness)))
  return applying.map(({ title }) => title)
}

const honest = harnessOf((backend) => new HonestStore(backend))
const client = { ...harnessOf((backend) => new ClientStore(backend)), sweeps: false, counts: false }

test('an honest store on a server keeps all requirements but those about credentials', async (t) => {
  t.is((await keeps(honest)).length, storeContract.length - 3)
})

const clientTitles = storeContract
  .filter(({ appliesTo }) => appliesTo(new ClientStore(new Backend()).traits, client))
  .map(({ title }) => title)

test('an honest store on the client keeps the requirements that can hold there', async (t) => {
  const titles = await keeps(client)
  t.true(titles.includes('an entry lives until its expiresAt and not longer'))
  t.true(titles.includes('a credential that the store did not issue is absent'))
  t.false(titles.some((title) => /destroy|conflict|touch|sweep|trouble/.test(title)))
})

test('an honest store on the client that can revoke credentials keeps that requirement too', async (t) => {
  const revocable = {
    ...harnessOf((backend) => new RevocableClientStore(backend)),
    sweeps: false,
    counts: false,
  }
  const ended = 'destroy revokes all credentials of a session, for all stores'
  t.deepEqual(
    (await keeps(revocable)).filter((title) => !clientTitles.includes(title)),
    [ended],
  )
})

test('a requirement that does not apply rejects, so that nothing passes unchecked', async (t) => {
  const requirement = named('a credential that the store did not issue is absent')
  await t.throwsAsync(requirement.check(honest), { message: /does not apply/ })
})

test('a harness that does not declare that its store sweeps or counts is refused', async (t) => {
  const requirement = named('the traits are valid, and the harness agrees with the store')
  await t.throwsAsync(requirement.check({ ...honest, sweeps: false }), { message: /sweeps: true/ })
  await t.throwsAsync(requirement.check({ ...honest, counts: false }), { message: /counts: true/ })
})

test('checks on one harness wait for each other, however they are started', async (t) => {
  const harness = harnessOf((backend) => new HonestStore(backend))
  let open = 0
  let most = 0
  class Watched extends HonestStore {
    constructor(backend: Backend) {
      super(backend)
      open += 1
      most = Math.max(most, open)
    }
    override async close(): Promise<void> {
      if (!this.closed) open -= 1
      await super.close()
    }
  }
  const watched = { ...harness, open: () => new Watched(new Backend()) }
  const requirement = named('what create stored is read back')
  await Promise.all([requirement.check(watched), requirement.check(watched), requirement.check(watched)])
  t.is(most, 1)
})

test('a check closes the stores it opened and removes what it stored, also when it fails', async (t) => {
  const opened: HonestStore[] = []
  const harness = harnessOf((backend) => {
    const store = new HonestStore(backend)
    opened.push(store)
    return store
  })
  await named("two stores on one backend see each other's changes").check(harness)
  await t.throwsAsync(named('expiry is exact to the resolution').check({ ...harness, advance: () => {} }))
  t.is(opened.length, 3)
  for (const { closed, backend } of opened) t.deepEqual([closed, backend.rows.size], [true, 0])
})

test('a check that failed does not keep the next one from running', async (t) => {
  const harness = harnessOf((backend) => new HonestStore(backend))
  const refused = named('a credential that the store did not issue is absent').check(harness)
  const next = named('what create stored is read back').check(harness)
  await t.throwsAsync(refused)
  await t.notThrowsAsync(next)
})
