import { Bag } from './values.ts'
import type { Actor } from './actor.ts'

/** What a request does, one after the other; the last is mostly to commit. */
export interface Action {
  readonly name: string
  readonly run: (actor: Actor) => void | Promise<void>
}

/** What a session holds before its requests come. */
export const begin: Action = {
  name: 'begin',
  run: async (actor) => {
    for (const key of ['a', 'b', 'flash', 'token']) setTo(actor, key, actor.unique())
    setTo(actor, 'n', 0)
    setTo(actor, 'm', 0)
    await actor.commit()
  },
}

export const look: Action = { name: 'look', run: (actor) => actor.look() }

export function set(key: string): Action {
  return { name: `set ${key}`, run: (actor) => setTo(actor, key, actor.unique()) }
}

/** A key that no other request touches. */
export const setOwn: Action = {
  name: 'set a key of its own',
  run: (actor) => setTo(actor, `of ${actor.name}`, actor.unique()),
}

/** Sets a counter to a number that it does not have. */
export function reset(key: string): Action {
  return {
    name: `reset ${key}`,
    run: (actor) => setTo(actor, key, 1000 * Number.parseInt(actor.unique(), 36)),
  }
}

export function count(key: string, by: number): Action {
  return {
    name: `update ${key}`,
    run: (actor) => {
      let value: unknown
      actor.change({ kind: 'count', key, by }, (session) => {
        value = session.update(key, (n = 0) => n + by)
      })
      actor.check(key, value)
    },
  }
}

/** Changes an object in place. */
export const alter: Action = {
  name: 'change in place',
  run: (actor) => {
    const value = { by: actor.unique() }
    actor.change({ kind: 'set', key: 'box', value: JSON.stringify(value) }, (session) => {
      const box = session.get('box')
      if (box === undefined) session.set('box', value)
      else box.by = value.by
    })
  },
}

/** Changes an object whose class merges. */
export const collect: Action = {
  name: 'collect',
  run: (actor) => {
    const item = actor.unique()
    actor.change({ kind: 'collect', key: 'bag', item }, (session) => {
      const bag = session.get('bag') ?? new Bag()
      bag.items.push(item)
      session.set('bag', bag)
    })
  },
}

export function remove(key: string): Action {
  return {
    name: `delete ${key}`,
    run: (actor) => actor.change({ kind: 'delete', key }, (session) => void session.delete(key)),
  }
}

export function take(key: string): Action {
  return {
    name: `take ${key}`,
    run: (actor) => {
      actor.check(key, actor.session.get(key))
      if (actor.session.has(key)) actor.change({ kind: 'delete', key }, (session) => void session.take(key))
    },
  }
}

export function claim(key: string): Action {
  return { name: `claim ${key}`, run: async (actor) => actor.claim(key) }
}

export const clear: Action = {
  name: 'clear',
  run: (actor) => actor.change({ kind: 'clear' }, (session) => session.clear()),
}

export const regenerate: Action = { name: 'regenerate', run: (actor) => actor.regenerate() }
export const destroy: Action = { name: 'destroy', run: async (actor) => actor.destroy() }
/** Ends the session that was heard of last, from outside. */
export const end: Action = {
  name: 'end by ID',
  run: async (actor) => actor.end(actor.world.ids.at(-1) ?? ''),
}
export const commit: Action = { name: 'commit', run: async (actor) => actor.commit() }

function setTo(actor: Actor, key: string, value: number | string): void {
  actor.change({ kind: 'set', key, value }, (session) => void session.set(key, value))
}
