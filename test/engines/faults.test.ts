// Compares the table of docs/faults.md with the titles of the tests.
import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { engines } from './engine.ts'

/** Where one fault is tested: on which engines, and in which files. */
interface Proof {
  readonly on: Set<string>
  readonly tests: Set<string>
}

const FAULTS = Array.from({ length: 27 }, (_, n) => `F${n + 1}`)
const providers = Object.keys(engines)

/** The beginnings of titles in a file, up to the first colon. */
const TITLE = /\b(?:test(?:\.serial)?|inDatabase)\(\s*['"`]([^'"`:]*\bF\d[^'"`:]*:)/g

async function prove(): Promise<ReadonlyMap<string, Proof>> {
  const proofs = new Map(FAULTS.map((fault) => [fault, { on: new Set<string>(), tests: new Set<string>() }]))
  function note(file: string, head: string, provider: string | undefined): void {
    for (const fault of head.match(/\bF\d+\b/g) ?? []) {
      proofs.get(fault)?.tests.add(file.slice('test/'.length, -'.test.ts'.length))
      if (provider !== undefined) proofs.get(fault)?.on.add(provider)
    }
  }
  const files = (await readdir('test', { recursive: true }))
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => path.posix.join('test', name))
  for (const file of files) {
    const [, folder, ...names] = file.split('/')
    // The provider of stores/redis/cluster-moves.test.ts is redis_cluster.
    const provider = providers
      .toSorted((one, other) => other.length - one.length)
      .find((each) => folder === 'stores' && names.join('_').replaceAll('-', '_').startsWith(each))
    for (const [, head = ''] of (await readFile(file, 'utf8')).matchAll(TITLE)) {
      if (folder !== 'engines') note(file, head, provider)
    }
  }
  const script = path.resolve('test/engines/titles.ts')
  const loops = files.filter(
    (file) =>
      file.startsWith('test/engines/') && !/\/(?:docs|faults|change-of-engine-contract)\.test/.test(file),
  )
  const { stdout } = await promisify(execFile)(process.execPath, ['--import=tsx', script, ...loops])
  for (const [file, titles] of Object.entries<readonly string[]>(JSON.parse(stdout))) {
    for (const title of titles) {
      // `F2, F5: redis_cluster: …`, or `F14: postgres, the classic table: …`
      const [, head = '', engine = ''] = /^([^:]*): ?(\w*)/.exec(title) ?? []
      note(file, head, providers.includes(engine) ? engine : undefined)
    }
  }
  return proofs
}

test('each fault is tested on the engines and in the files that docs/faults.md names, and it gives a reason where not', async (t) => {
  const proofs = await prove()
  const page = await readFile('docs/faults.md', 'utf8')
  const rows = [...page.matchAll(/^\| (F\d+) \|(.*)\|$/gm)].map(
    ([, fault = '', rest = '']) => [fault, rest.split('|').map((cell) => cell.trim())] as const,
  )
  t.deepEqual(
    rows.map(([fault]) => fault),
    FAULTS,
  )
  const groups: Readonly<Record<string, readonly string[]>> = {
    all: providers,
    'all servers': providers.filter((provider) => !['file', 'sqlite'].includes(provider)),
    none: [],
  }
  for (const [fault, [what = '', on = '', tests = '', rest = '']] of rows) {
    const proof = proofs.get(fault)
    const named = groups[on] ?? on.split(', ')
    t.deepEqual([...named].toSorted(), [...(proof?.on ?? [])].toSorted(), `${fault}: on which engines`)
    const files = [...tests.matchAll(/`([^`]+)`/g)].map(([, file = '']) => file)
    t.deepEqual(files.toSorted(), [...(proof?.tests ?? [])].toSorted(), `${fault}: by which tests`)
    t.not(what, '')
    t.true(files.length > 0, `${fault} is tested`)
    t.is(rest === '', named.length === providers.length, `${fault}: why not on the others`)
  }
})
