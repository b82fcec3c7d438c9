/**
 * Nothing lost, nothing brought back, under load: four processes, fifty connections each, first on one session and then
 * on a thousand. Every acknowledged write must be there afterwards. Then all of them get one array, add to it and set it:
 * what is acknowledged must be there, and the rest be refused with 409; where its items are merged, none may be refused.
 * The peers go through the same, on the same Redis.
 *
 *     npm run bench:hammer
 *     KTS_SECONDS=10 KTS_ENGINES=redis,file npm run bench:hammer
 */
import { engines } from '../test/engines/engine.ts'
import { redisServer } from '../test/servers/redis.ts'
import { LIST, MERGED } from './hammer/lists.ts'
import { addToLists, hammer, logouts, Server, type Tally } from './hammer/load.ts'

const SECONDS = Number(process.env['KTS_SECONDS'] ?? 60)
const PROCESSES = 4
const CONNECTIONS = 50
const RACES = 200
const wanted = process.env['KTS_ENGINES']?.split(',')

/** A library on an engine, how many processes may share it, and how to have it. */
interface Contestant {
  readonly name: string
  readonly processes: number
  readonly start: () => Promise<{ readonly args: readonly string[]; readonly stop: () => Promise<void> }>
}

const contestants: Contestant[] = [
  {
    name: 'memory',
    processes: 1,
    start: async () => ({ args: ['ours', 'memory', ''], stop: async () => {} }),
  },
  ...Object.entries(engines).map(([name, open]) => ({
    name,
    processes: PROCESSES,
    start: async () => {
      const { config, stop } = await open()
      return { args: ['ours', name, config], stop }
    },
  })),
  ...['koa-session', 'express-session'].map((name) => ({
    name,
    processes: PROCESSES,
    start: async () => {
      const { url, stop } = await redisServer()
      return { args: [name, 'redis', url], stop }
    },
  })),
]

let broken = false
console.log(
  `${PROCESSES} processes × ${CONNECTIONS} connections × ${SECONDS} s; ${RACES} logouts against a slow request\n`,
)
console.log(
  '| engine | sessions | acknowledged | per second | lost | counted twice | 409 | 503 | other errors |',
)
console.log('| --- | --- | --- | --- | --- | --- | --- | --- | --- |')
const lists: string[] = []
const races: string[] = []
for (const { name, processes, start } of contestants) {
  if (wanted !== undefined && !wanted.includes(name)) continue
  const { args, stop } = await start()
  const servers = await Promise.all(
    Array.from({ length: processes }, async () => Server.start(args, CONNECTIONS)),
  )
  try {
    for (const sessions of [1, 1_000]) {
      const tally = await hammer(servers, { sessions, connections: CONNECTIONS, seconds: SECONDS })
      console.log(row(name, sessions, tally))
      if (args[0] === 'ours') broken ||= tally.lost + tally.invented + tally.failed > 0
    }
    for (const key of [LIST, MERGED]) {
      const tally = await addToLists(servers, key, { connections: CONNECTIONS, seconds: SECONDS })
      lists.push(row(name, key === MERGED ? 'of its items' : 'none', tally))
      const { lost, invented, failed, conflicts } = tally
      const refused = key === MERGED ? conflicts : 0
      if (args[0] === 'ours') broken ||= lost + invented + failed + refused > 0
    }
    const { undone, cookies } = await logouts(servers, RACES)
    races.push(`| ${name} | ${undone} | ${cookies} |`)
    if (args[0] === 'ours') broken ||= undone + cookies > 0
  } finally {
    for (const server of servers) server.stop()
    await stop()
  }
}
console.log(
  `\n| engine | merge | added to one array | per second | lost | not acknowledged, and there | 409 | 503 | other errors |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n${lists.join('\n')}`,
)
console.log(
  `\n| of ${RACES} logouts | undone | cookies to the slow request |\n| --- | --- | --- |\n${races.join('\n')}`,
)
process.exit(broken ? 1 : 0)

function row(
  name: string,
  what: number | string,
  { acknowledged, seconds, lost, invented, conflicts, refused, failed }: Tally,
): string {
  const share = `${lost} (${((100 * lost) / Math.max(1, acknowledged)).toFixed(1)} %)`
  const cells = [
    name,
    what,
    acknowledged,
    Math.round(acknowledged / seconds),
    share,
    invented,
    conflicts,
    refused,
    failed,
  ]
  return `| ${cells.join(' | ')} |`
}
