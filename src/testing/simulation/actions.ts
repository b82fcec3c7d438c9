import type { Action, Actor } from './actor.ts'
import { Bag } from './values.ts'

/** Stores what a session holds before the requests of a simulation come. */
export const begin: Action = async (actor) => {
  for (const key of ['a', 'b', 'flash', 'token']) setTo(actor, key, actor.unique())
  setTo(actor, 'n', 0)
  setTo(actor, 'm', 0)
  await actor.commit()
}

export const look: Action = (actor) => actor.look()

export function set(key: string): Action {
  return (actor) => setTo(actor, key, actor.unique())
}

/** Sets a key that no other request touches. */
export const setOwn: Action = (actor) => setTo(actor, `of ${actor.name}`, actor.unique())

/** Sets a counter to a number that it does not have. */
export function reset(key: string): Action {
  return (actor) => setTo(actor, key, 1000 * Number.parseInt(actor.unique(), 36))
}

export function count(key: string, by: number): Action {
  return (actor) => {
    let value: unknown
    actor.change({ kind: 'count', key, by }, (session) => {
      value = session.update(key, (n = 0) => n + by)
    })
    actor.check(key, value)
  }
}

/** Changes an object in place. */
export const alter: Action = (actor) => {
  const value = { by: actor.unique() }
  actor.change({ kind: 'set', key: 'box', value: JSON.stringify(value) }, (session) => {
    const box = session.get('box')
    if (box === undefined) session.set('box', value)
    else box.by = value.by
  })
}

/** Changes an object of a class that has a `merge`. */
export const collect: Action = (actor) => {
  const item = actor.unique()
  actor.change({ kind: 'collect', key: 'bag', item }, (session) => {
    const bag = session.get('bag') ?? new Bag()
    bag.items.push(item)
    session.set('bag', bag)
  })
}

export function remove(key: string): Action {
  return (actor) => actor.change({ kind: 'delete', key }, (session) => void session.delete(key))
}

export function take(key: string): Action {
  return (actor) => {
    actor.check(key, actor.session.get(key))
    if (actor.session.has(key)) actor.change({ kind: 'delete', key }, (session) => void session.take(key))
  }
}

export function claim(key: string): Action {
  return async (actor) => actor.claim(key)
}

export const clear: Action = (actor) => actor.change({ kind: 'clear' }, (session) => session.clear())
export const regenerate: Action = (actor) => actor.regenerate()
export const destroy: Action = async (actor) => actor.destroy()
/** Ends the session whose ID was told last, by that ID alone. */
export const end: Action = async (actor) => actor.end(actor.world.ids.at(-1) ?? '')
export const commit: Action = async (actor) => actor.commit()

function setTo(actor: Actor, key: string, value: number | string): void {
  actor.change({ kind: 'set', key, value }, (session) => void session.set(key, value))
}
