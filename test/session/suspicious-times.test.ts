import test from 'ava'
import { session, SessionManager, type SessionOptions } from '../../src/index.ts'

const HOUR = 3_600_000
const warnings: (readonly [code: unknown, text: string])[] = []
process.on('warning', ({ code, message }: Error & { readonly code?: unknown }) =>
  warnings.push([code, message]),
)

/** The warnings that an action gives. */
async function given(action: () => unknown): Promise<readonly (readonly [code: unknown, text: string])[]> {
  warnings.length = 0
  action()
  await new Promise(setImmediate)
  return [...warnings]
}

test.serial('times that are meant in milliseconds give no warning', async (t) => {
  const options: readonly SessionOptions<undefined, 'session'>[] = [
    {},
    { idleTimeout: 60_000, absoluteTimeout: 60_000 },
    { idleTimeout: 36 * 60_000, cookie: { maxAge: 36 * 60_000 } }, // 25 days in seconds as well
    { idleTimeout: 24 * HOUR, cookie: { maxAge: 24 * HOUR }, rotateAfter: 15 * 60_000 },
    { idleTimeout: 30, now: () => 0 },
    { idleTimeout: 24 * HOUR, cookie: { maxAge: HOUR } },
  ]
  for (const each of options) t.deepEqual(await given(() => session(each)), [])
})

test.serial(
  'times that look like seconds are the process warning KTS_TIME_IN_SECONDS, once for each option',
  async (t) => {
    const seconds = (option: string, ms: number): readonly [string, string] => [
      'KTS_TIME_IN_SECONDS',
      `${option} is ${ms} ms: times are in milliseconds, and ${ms} seconds are ${ms * 1_000}.`,
    ]
    t.deepEqual(await given(() => new SessionManager({ idleTimeout: 30 })), [seconds('idleTimeout', 30)])
    t.deepEqual(await given(() => new SessionManager({ idleTimeout: 1_800 })), [])
    t.deepEqual(await given(() => session({ absoluteTimeout: 7 * 86_400, idleTimeout: 60_000 })), [
      seconds('absoluteTimeout', 604_800),
    ])
    t.deepEqual(await given(() => session({ rotateAfter: 43_200 })), [seconds('rotateAfter', 43_200)])
    t.deepEqual(await given(() => session({ cookie: { maxAge: 86_400 } })), [
      seconds('cookie.maxAge', 86_400),
    ])
    t.deepEqual(
      await given(() => {
        new SessionManager().begin().maxAge = 3_600
      }),
      [seconds('session.maxAge', 3_600)],
    )
  },
)

test.serial(
  'a cookie that outlives its session is the process warning KTS_COOKIE_OUTLIVES_SESSION, once',
  async (t) => {
    const [warning, ...others] = await given(() => session({ cookie: { maxAge: 24 * HOUR } }))
    t.deepEqual(others, [])
    t.is(warning?.[0], 'KTS_COOKIE_OUTLIVES_SESSION')
    t.regex(warning?.[1] ?? '', /raise idleTimeout to it, or lower cookie\.maxAge/)
    t.deepEqual(await given(() => session({ cookie: { maxAge: 25 * HOUR } })), [])
  },
)
