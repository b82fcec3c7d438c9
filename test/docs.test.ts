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

test('the README has programs, and the first has its proof', async (t) => {
  const [first] = await programsOf('README.md')
  t.is(first?.session.length, 2)
})
