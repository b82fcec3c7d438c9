import type { Answer, Call } from './gated-store.ts'
import { sameVersion, versionOf } from '../../store.ts'

/** What a key holds, and until when. */
export interface Row {
  readonly payload: string
  readonly until: number
}

/** A verb on one key, and what it was answered. */
export interface Step {
  readonly call: Call
  readonly answer: Answer
}

/** What a store answers whose verbs are single steps: the contract, in as few words as it can be said. */
export function predict({ verb, base }: Call, row: Row | undefined, now: number): string {
  const living = row !== undefined && row.until > now
  if (verb === 'read') return living ? versionOf(row.payload) : 'nobody'
  if (verb === 'create') return living ? 'exists' : 'written'
  if (!living) return 'gone'
  if (base !== undefined && !sameVersion(base.payload, row.payload)) return 'conflict'
  return verb === 'replace' ? 'written' : 'ok'
}

/** Whether the payload lies there already: to be sent once more it may be refused, or taken for the first time. */
export function isRepeated({ payload }: Call, row: Row | undefined, now: number): boolean {
  if (payload === undefined || row === undefined || row.until <= now) return false
  return sameVersion(payload, row.payload)
}

/** An answer, in the words of {@link predict}. */
export function describe({ call, answer }: Step): string {
  if (answer === undefined) return 'nobody'
  if (typeof answer === 'string') return answer
  if ('entry' in answer) return answer.entry.payload === call.payload ? 'written' : 'written otherwise'
  return versionOf(answer.payload)
}

/** Whether an answer is one that the contract allows. */
export function agrees(step: Step, row: Row | undefined, now: number): boolean {
  const [expected, actual] = [predict(step.call, row, now), describe(step)]
  const refused = expected === 'conflict' || expected === 'exists'
  return actual === expected || (refused && actual === 'written' && isRepeated(step.call, row, now))
}

/** What the key holds afterwards, by what was answered. */
export function follow(
  { call, answer }: Step,
  row: Row | undefined,
  toTime: (expiresAt: number) => number,
): Row | undefined {
  if (answer === 'ok' && call.verb === 'destroy') return undefined
  if (answer === 'ok' && row !== undefined) {
    return { ...row, until: Math.max(row.until, toTime(call.expiresAt ?? 0)) }
  }
  if (answer === undefined) return undefined
  if (typeof answer === 'string') return row
  if ('entry' in answer) return { payload: answer.entry.payload, until: toTime(answer.entry.expiresAt) }
  // A read tells of a life that is at least so long: beside a touch it may have come before it.
  return { payload: answer.payload, until: Math.max(row?.until ?? 0, toTime(answer.expiresAt)) }
}

/** Of two verbs on one key at the same time, whether the second came first, as far as the answers tell. */
export function cameFirst(
  [one, other]: readonly [Step, Step],
  row: Row | undefined,
  now: number,
  toTime: (expiresAt: number) => number,
): boolean {
  const fits = (first: Step, second: Step): boolean =>
    agrees(first, row, now) && agrees(second, follow(first, row, toTime), now)
  return !fits(one, other) && fits(other, one)
}
