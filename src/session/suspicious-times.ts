/** A day in seconds, which is 86 seconds in ms. */
const DAY_IN_SECONDS = 86_400
const MINUTE = 60_000

/** Times that a session may live, by the names of their options. */
type Times = Readonly<Record<string, number | undefined>>

const warned = new Set<string>()

/**
 * Warns once of each option that looks like seconds: less than a minute, or whole days in seconds that are no whole minutes in ms. A
 * warning and no refusal, since a test may want a life of 30 ms.
 */
export function warnOfSeconds(times: Times): void {
  for (const [option, ms] of Object.entries(times)) {
    if (ms === undefined || !looksLikeSeconds(ms)) continue
    warnOnce(
      option,
      'KTS_TIME_IN_SECONDS',
      `${option} is ${ms} ms: times are in milliseconds, and ${ms} seconds are ${ms * 1_000}.`,
    )
  }
}

/** Warns once of cookies that the browser keeps longer than their sessions live. */
export function warnOfOutliving(cookieMaxAge: number | undefined, idleTimeout: number): void {
  if (cookieMaxAge === undefined || cookieMaxAge <= idleTimeout) return
  warnOnce(
    'outliving',
    'KTS_COOKIE_OUTLIVES_SESSION',
    'cookie.maxAge is longer than idleTimeout, so the browser keeps cookies of sessions that have ended: raise idleTimeout to it, or lower cookie.maxAge.',
  )
}

function looksLikeSeconds(ms: number): boolean {
  return ms < MINUTE || (ms % DAY_IN_SECONDS === 0 && ms % MINUTE !== 0 && ms <= 400 * DAY_IN_SECONDS)
}

function warnOnce(what: string, code: string, text: string): void {
  if (warned.has(what)) return
  warned.add(what)
  process.emitWarning(text, { type: 'SessionWarning', code })
}
