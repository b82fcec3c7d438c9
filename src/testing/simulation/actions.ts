import type { Action, Actor } from './actor.ts'
import type { Count } from './replay-model.ts'
import { Bag } from './values.ts'

/** Stores what a session holds before the requests of a simulation come. */
export const begin: Action = async (actor) => {
  for (const key of ['a', 'b', 'flash', 'token']) setTo(actor, key, actor.unique())
  setTo(actor, 'n', 0)
  setTo(actor, 'm', 0)
  await actor.commit()
}

export const look: Action = (actor) => actor.look()
/** Lists the keys without reading a value. */
export const list: Action = (actor) => actor.list()

export function get(key: string): Action {
  return (actor) => void actor.get(key)
}

export function has(key: string): Action {
  return (actor) => void actor.has(key)
}

/** Sets a value without having read the one before, as far as this action goes. */
export function set(key: string): Action {
  return (actor) => setTo(actor, key, actor.unique())
}

/** Sets a key to this value. */
export function put(key: string, value: string): Action {
  return (actor) => setTo(actor, key, value)
}

/** Reads a value and then sets another one. */
export function readAndSet(key: string): Action {
  return (actor) => {
    actor.get(key)
    setTo(actor, key, actor.unique())
  }
}

/** Reads a counter and then sets it to a number that it does not have. */
export function readAndReset(key: string): Action {
  return (actor) => {
    actor.get(key)
    setTo(actor, key, 1000 * Number.parseInt(actor.unique(), 36))
  }
}

/** Sets a key if it is not there. */
export function setIfAbsent(key: string): Action {
  return (actor) => {
    if (!actor.has(key)) setTo(actor, key, actor.unique())
  }
}

/** Sets a key that no other request touches. */
export const setOwn: Action = (actor) => setTo(actor, `of ${actor.name}`, actor.unique())

/** Sets a counter to a number that it does not have. */
export function reset(key: string): Action {
  return (actor) => setTo(actor, key, 1000 * Number.parseInt(actor.unique(), 36))
}

export function count(key: string, by: number, orElse: Count['orElse'] = 'begin'): Action {
  return (actor) => actor.count({ kind: 'count', key, by, orElse })
}

/** Changes an object in place. */
export const alter: Action = (actor) => {
  const value = { by: actor.unique() }
  actor.change({ kind: 'alter', key: 'box', value: JSON.stringify(value) }, (session) => {
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

/** Reads a value and then deletes it. */
export function readAndRemove(key: string): Action {
  return (actor) => {
    actor.get(key)
    actor.change({ kind: 'delete', key }, (session) => void session.delete(key))
  }
}

export function take(key: string): Action {
  return (actor) => actor.take(key)
}

/** Takes a value and sets another one. */
export function takeAndSet(key: string): Action {
  return (actor) => {
    actor.take(key)
    setTo(actor, key, actor.unique())
  }
}

export function claim(key: string): Action {
  return async (actor) => actor.claim(key)
}

export const clear: Action = (actor) => actor.change({ kind: 'clear' }, (session) => session.clear())
export const regenerate: Action = (actor) => actor.regenerate()
export const destroy: Action = async (actor) => actor.destroy()
/** Ends the session whose ID was told last, by that ID alone. */
export const end: Action = async (actor) => actor.end(actor.world.told.at(-1)?.id ?? '')
/** Ends the session whose ID was told first, by that ID alone. */
export const endFirst: Action = async (actor) => actor.end(actor.world.told[0]?.id ?? '')
export const commit: Action = async (actor) => actor.commit()
/** Waits, so that time may pass while the request is under way. */
export const rest: Action = async (actor) => actor.rest()
export const readId: Action = (actor) => actor.readId()
export const disconnect: Action = (actor) => actor.disconnect()

function setTo(actor: Actor, key: string, value: number | string): void {
  actor.change({ kind: 'set', key, value }, (session) => void session.set(key, value))
}
