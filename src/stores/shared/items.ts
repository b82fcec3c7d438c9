/** What a backend with a compare-and-swap token of its own keeps of a session. */
export interface Item {
  readonly payload: string
  /** As the backend has kept it, see {@link Items.moment}. */
  readonly expiresAt: number
  /** Another one after each write, a touch included. */
  readonly token: unknown
}

/**
 * Such a backend. Each method but `moment` is one round trip and one step at the server, where an item may still lie for
 * a while after its moment has come.
 */
export interface Items {
  /** The moment that is kept for `expiresAt`: not before it, and as close as the backend can tell time. */
  moment(expiresAt: number): number
  get(key: string): Promise<Item | undefined>
  add(key: string, payload: string, expiresAt: number): Promise<Item | 'exists'>
  /** Replaces what has the token of `item` by the rest of it. Never creates. */
  replace(key: string, item: Item): Promise<Item | 'changed' | 'gone'>
  /** Removes what has the token. */
  delete(key: string, token: unknown): Promise<'ok' | 'changed' | 'gone'>
}
