import { sameVersion, versionOf, type Entry, type Written } from '../../store.ts'

/** A verb of the store contract with its arguments. */
export interface Call {
  readonly verb: 'read' | 'create' | 'replace' | 'touch' | 'destroy'
  readonly key: string
  readonly payload?: string
  readonly expiresAt?: number
  readonly base?: Entry | undefined
}

/** What a store may answer. */
export type Answer = Entry | Written | 'exists' | 'conflict' | 'gone' | 'ok' | undefined

/** A call and its answer. */
export interface Step {
  readonly call: Call
  readonly answer: Answer
}

/** What is stored under a key, and until when. */
export interface Row {
  readonly payload: string
  readonly until: number
}

/** What a store answers whose verbs are atomic: the store contract in its shortest form. */
export function predict({ verb, base }: Call, row: Row | undefined, now: number): string {
  const living = row !== undefined && row.until > now
  if (verb === 'read') return living ? versionOf(row.payload) : 'absent'
  if (verb === 'create') return living ? 'exists' : 'written'
  if (!living) return 'gone'
  if (base !== undefined && !sameVersion(base.payload, row.payload)) return 'conflict'
  return verb === 'replace' ? 'written' : 'ok'
}

/** Whether this very payload is stored already. A store may then refuse the call, or answer as it did the first time. */
export function isRepeated({ payload }: Call, row: Row | undefined, now: number): boolean {
  if (payload === undefined || row === undefined || row.until <= now) return false
  return sameVersion(payload, row.payload)
}

/** An answer in the words of {@link predict}. */
export function describe({ call, answer }: Step): string {
  if (answer === undefined) return 'absent'
  if (typeof answer === 'string') return answer
  if ('entry' in answer) return answer.entry.payload === call.payload ? 'written' : 'written otherwise'
  return versionOf(answer.payload)
}

/** Whether the contract allows the answer. */
export function agrees(step: Step, row: Row | undefined, now: number): boolean {
  const [expected, actual] = [predict(step.call, row, now), describe(step)]
  const refused = expected === 'conflict' || expected === 'exists'
  return actual === expected || (refused && actual === 'written' && isRepeated(step.call, row, now))
}

/** What the key holds after a call, judging by its answer. */
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
  // The row lives at least that long: a read beside a touch may have come first.
  return { payload: answer.payload, until: Math.max(row?.until ?? 0, toTime(answer.expiresAt)) }
}

/** Of two calls on one key at the same time: whether only the order "second, then first" explains the answers. */
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
