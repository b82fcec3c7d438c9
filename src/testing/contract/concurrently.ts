import type { Store } from '../../store.ts'

/** How often two verbs race each other. */
export const ROUNDS = 20

/** How many run at once where all want the same. */
export const CROWD = 20

/** Starts two things in the same breath, and in every other round in the other order. */
export async function both<A, B>(
  round: number,
  one: () => Promise<A>,
  other: () => Promise<B>,
): Promise<[A, B]> {
  if (round % 2 === 0) return Promise.all([one(), other()])
  const second = other()
  return Promise.all([one(), second])
}

/** Of two stores the one whose turn it is. */
export function turn([one, other]: readonly [Store, Store], at: number): Store {
  return at % 2 === 0 ? one : other
}
