/** What holds of an owner's sessions, by its number. Reports name it. */
export const ownerInvariants = {
  1: 'after endAll no session that it covers is usable',
  2: 'nothing ends without a cause',
  3: 'a usable session is listed, under the key that it has',
  4: 'no more sessions are usable than are allowed',
  5: 'what was ended never returns',
  6: 'a list shows each session that is usable throughout, and nothing in it opens one',
  7: 'a session that has moved has one record',
  8: 'no usable session is dropped, and none stands twice',
  9: 'after one list nothing is left to be ended',
  10: 'after the record of an owner is lost, one look at each session leaves none that is unlisted or covered',
  11: 'a sign-in that is refused changes nothing that its client holds',
  12: 'an ordinary request reads the record of its owner once at most, and never writes it',
  13: 'of two sign-ins to one anonymous session one succeeds',
  14: 'after refresh no session with older rights takes them for new',
  15: 'an operation fails only if the store did, or the rules refuse it',
} as const

export type OwnerInvariant = keyof typeof ownerInvariants

/** The first line of a report: which invariant does not hold, and in what way. */
export function broken(invariant: OwnerInvariant, detail: string): string {
  return `invariant ${invariant}, ${ownerInvariants[invariant]}: ${detail}`
}
