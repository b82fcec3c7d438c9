import { readdir, readFile } from 'node:fs/promises'
import test from 'ava'

/** The requirements that docs/security.md goes through. */
const NUMBERS = 62

const page = await readFile('docs/security.md', 'utf8')

interface Row {
  readonly numbers: readonly number[]
  readonly cells: readonly string[]
}

/** The table under a heading of the page, or above the first one. */
function tableOf(heading: string): Row[] {
  const section = page.split(/^## /m).find((text) => text.startsWith(heading)) ?? ''
  return [...section.matchAll(/^\| ([\d, ]+) \|(.*)\|$/gm)].map(([, numbers = '', rest = '']) => ({
    numbers: numbers.split(', ').map(Number),
    cells: rest.split('|').map((cell) => cell.trim()),
  }))
}

/** The numbers in the titles of a test file, or of all in a folder: `security 4, 5 and 10`. */
async function numbersIn(name: string): Promise<Set<number>> {
  const files = (await readdir('test', { recursive: true })).filter(
    (file) =>
      [`${name}.test.ts`, `${name}.ts`].includes(file) ||
      (file.startsWith(`${name}/`) && file.endsWith('.ts')),
  )
  const texts = await Promise.all(files.map(async (file) => readFile(`test/${file}`, 'utf8')))
  const titles = texts.flatMap((text) => [...text.matchAll(/security (\d+(?:(?:, | and )\d+)*)/g)])
  return new Set(titles.flatMap(([, list = '']) => list.split(/, | and /).map(Number)))
}

test('each security requirement has a row in docs/security.md', (t) => {
  const told = [...tableOf('# Security'), ...tableOf('Not there')].flatMap(({ numbers }) => numbers)
  const missing = Array.from({ length: NUMBERS }, (_, at) => at + 1).filter(
    (number) => !told.includes(number),
  )
  t.deepEqual(missing, [])
  t.deepEqual(
    told.filter((number) => number > NUMBERS),
    [],
  )
})

test('each row names tests, and for each of its numbers one of them has it in a title', async (t) => {
  const rows = tableOf('# Security')
  t.true(rows.length > 20)
  const wrong: string[] = []
  for (const { numbers, cells } of rows) {
    const names = [...(cells.at(-1) ?? '').matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)
    const found = await Promise.all(names.map(numbersIn))
    for (const [at, set] of found.entries()) {
      if (!numbers.some((number) => set.has(number)))
        wrong.push(`${numbers.join(', ')}: nothing in ${names[at]}`)
    }
    const untested = numbers.filter((number) => !found.some((set) => set.has(number)))
    if (untested.length > 0) wrong.push(`${untested.join(', ')}: in no title of ${names.join(', ')}`)
  }
  t.deepEqual(wrong, [])
})
