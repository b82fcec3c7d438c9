import { readdir } from 'node:fs/promises'
import test from 'ava'
import { programsOf, runProgram } from '../support/markdown.ts'
import { engines } from './engine.ts'

const folder = 'docs/stores'
const pages = (await readdir(folder)).filter((name) => name.endsWith('.md'))
const programs = await Promise.all(pages.map(async (page) => programsOf(`${folder}/${page}`)))

/** The environment variables by which the pages find a server. */
const variables: Readonly<Record<string, string>> = {
  redis: 'REDIS_URL',
  redis_cluster: 'REDIS_CLUSTER_URL',
  redis_sentinel: 'REDIS_SENTINEL_URL',
  memcache: 'MEMCACHE_URL',
  mysql: 'MYSQL_URL',
  postgres: 'POSTGRES_URL',
  couchbase: 'COUCHBASE_URL',
}

const stops: (() => Promise<void>)[] = []

test.before('the servers start', async () => {
  await Promise.all(
    Object.entries(variables).map(async ([provider, variable]) => {
      const engine = await engines[provider]?.()
      if (engine === undefined) throw new Error(`no engine ${provider}`)
      stops.push(engine.stop)
      process.env[variable] = engine.config
    }),
  )
})

test.after.always('the servers stop', async () => {
  await Promise.all(stops.map(async (stop) => stop()))
})

for (const [index, program] of programs.flat().entries()) {
  test.serial(`${program.title}: program ${index + 1} runs, and prints what the page says`, async (t) => {
    const { outputs, error } = await runProgram(program)
    t.is(error, '')
    t.deepEqual(
      outputs,
      program.session.map(({ output }) => output),
    )
  })
}
