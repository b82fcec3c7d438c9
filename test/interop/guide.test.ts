// The migration guide runs: the shop on koa-session, and after each step that docs/migrating-from-koa-session.md describes.
import { execFileSync } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import path from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type Koa from 'koa'
import { MemoryStore } from '../../src/stores/memory.ts'
import { serve } from '../support/client.ts'
import { check } from './guide/checks.ts'

const here = path.dirname(fileURLToPath(import.meta.url))
const guide = await readFile(path.join(here, '../../docs/migrating-from-koa-session.md'), 'utf8')
const shop = await readFile(path.join(here, 'guide/shop.js'), 'utf8')
const MOST_CHANGED = 20
const LEAST_CHECKS = 35

/** The changes of each step: the `diff` and `sh` blocks below its heading. */
const steps = guide
  .split(/^## (?:Step \d|What)/m)
  .slice(1, -1)
  .map((text) => [...text.matchAll(/^```(?:diff|sh)\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block))

/** The lines that a `diff` block takes away and adds, each with its sign. */
function changedLines(block: string): string[] {
  return block.split('\n').filter((line) => /^[-+]/.test(line))
}

/** Replaces each part of a block, of which `@@` divides it, where its lines stand. */
function patched(source: string, block: string): string {
  const [, expressions] = /^sed -i (.*) shop\.js\n$/.exec(block) ?? []
  if (expressions !== undefined)
    return execFileSync('sh', ['-c', `sed ${expressions}`], { input: source, encoding: 'utf8' })
  let text = source
  for (const part of block.split(/^@@.*\n/m).filter((each) => each !== '')) {
    const lines = part.replace(/\n$/, '').split('\n')
    const side = (sign: string): string =>
      lines
        .filter((line) => !line.startsWith(sign))
        .map((line) => `${line.slice(1)}\n`)
        .join('')
    const before = side('+')
    if (text.split(before).length !== 2) throw new Error(`not found exactly once:\n${before}`)
    text = text.replace(before, () => side('-'))
  }
  return text
}

const sources = steps.reduce<string[]>(
  (all, blocks) => [...all, blocks.reduce(patched, all.at(-1) ?? shop)],
  [shop],
)

async function driven(t: ExecutionContext, step: number, store: object): Promise<number> {
  const folder = path.join(here, '.cache')
  await mkdir(folder, { recursive: true })
  const file = path.join(folder, `shop-${step}.mjs`)
  t.teardown(() => rm(file, { force: true }))
  const source = (sources[step] ?? '')
    .replaceAll("'koa-typed-session'", "'../../../src/index.ts'")
    .replaceAll("'koa-typed-session/compat'", "'../../../src/compat/index.ts'")
  await writeFile(file, source)
  const { createShop } = (await import(pathToFileURL(file).href)) as { createShop: (store: object) => Koa }
  const { client } = await serve(t, createShop(store))
  return check(client, (name, actual, expected) => t.deepEqual(actual, expected, name))
}

test('the shop on koa-session passes the checks', async (t) => {
  const records = new Map<string, string>()
  const count = await driven(t, 0, {
    get: async (key: string): Promise<unknown> => JSON.parse(records.get(key) ?? 'null'),
    set: async (key: string, value: unknown): Promise<void> => void records.set(key, JSON.stringify(value)),
    destroy: async (key: string): Promise<void> => void records.delete(key),
  })
  t.true(count >= LEAST_CHECKS)
  t.true(guide.includes(`the same ${count} checks`))
})

for (const [at, title] of ['with the session object', 'route by route', 'on the typed session'].entries()) {
  test(`the shop passes the same checks after step ${at + 1}, ${title}`, async (t) => {
    t.true((await driven(t, at + 1, new MemoryStore())) >= LEAST_CHECKS)
  })
}

test('step 1 changes at most 20 lines, and no route', (t) => {
  const lines = (steps[0] ?? []).flatMap(changedLines)
  t.true(lines.length > 0 && lines.length <= MOST_CHANGED, String(lines.length))
  const routes = (source: string): string => source.slice(source.indexOf('  // Guards'))
  t.is(routes(sources[1] ?? ''), routes(shop))
})
