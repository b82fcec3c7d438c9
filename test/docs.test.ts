import { readdir } from 'node:fs/promises'
import test from 'ava'
import { programsOf, runProgram } from './support/markdown.ts'

const pages = [
  'README.md',
  ...(await readdir('docs')).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`),
]

const programs = await Promise.all(pages.map(programsOf))

for (const [index, program] of programs.flat().entries()) {
  test.serial(`${program.title}: program ${index + 1} runs and says what the page says`, async (t) => {
    const { outputs, error } = await runProgram(program)
    t.is(error, '')
    t.deepEqual(
      outputs,
      program.session.map(({ output }) => output),
    )
  })
}

test.serial("the README's first example keeps all of 20 items that are added at once", async (t) => {
  const [first] = await programsOf('README.md')
  if (first === undefined) return t.fail('the README has no program')
  const addAll =
    'curl -s -Z --parallel-immediate --parallel-max 20 -b jar -o /dev/null -w "%{http_code}\\n" "localhost:3000/[1-20]"'
  const session = [
    { command: 'curl -s -c jar -b jar localhost:3000/first', output: '' },
    { command: addAll, output: '' },
    { command: 'curl -s -b jar localhost:3000/last', output: '' },
  ]
  const { outputs, error } = await runProgram({ ...first, session })
  t.is(error, '')
  const [, statuses = '', cart = ''] = outputs
  t.deepEqual(statuses.trim().split('\n'), Array<string>(20).fill('200'))
  const [, visits, items = ''] = /^visit (\d+): (.*)\n$/.exec(cart) ?? []
  t.is(visits, '22')
  const added = Array.from({ length: 20 }, (_, at) => String(at + 1))
  t.deepEqual(items.split(', ').toSorted(), ['first', 'last', ...added].toSorted())
})

test('the README has programs, and the first has its proof', async (t) => {
  const [first] = await programsOf('README.md')
  t.is(first?.session.length, 2)
})
