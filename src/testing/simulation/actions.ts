import { Bag } from './values.ts'
import type { Visit } from './actor.ts'

/** What a request does, one after the other; the last is mostly to commit. */
export interface Act {
  readonly name: string
  readonly run: (visit: Visit) => void | Promise<void>
}

/** What a session holds before its requests come. */
export const begin: Act = {
  name: 'begin',
  run: async (visit) => {
    for (const key of ['a', 'b', 'flash', 'token']) setTo(visit, key, visit.unique())
    setTo(visit, 'n', 0)
    setTo(visit, 'm', 0)
    await visit.commit()
  },
}

export const look: Act = { name: 'look', run: (visit) => visit.look() }

export function set(key: string): Act {
  return { name: `set ${key}`, run: (visit) => setTo(visit, key, visit.unique()) }
}

/** A key that no other request touches. */
export const setOwn: Act = {
  name: 'set a key of its own',
  run: (visit) => setTo(visit, `of ${visit.name}`, visit.unique()),
}

/** Sets a counter to a number that it does not have. */
export function reset(key: string): Act {
  return {
    name: `reset ${key}`,
    run: (visit) => setTo(visit, key, 1000 * Number.parseInt(visit.unique(), 36)),
  }
}

export function count(key: string, by: number): Act {
  return {
    name: `update ${key}`,
    run: (visit) => {
      let value: unknown
      visit.change({ kind: 'count', key, by }, (session) => {
        value = session.update(key, (n = 0) => n + by)
      })
      visit.check(key, value)
    },
  }
}

/** Changes an object in place. */
export const alter: Act = {
  name: 'change in place',
  run: (visit) => {
    const value = { by: visit.unique() }
    visit.change({ kind: 'set', key: 'box', value: JSON.stringify(value) }, (session) => {
      const box = session.get('box')
      if (box === undefined) session.set('box', value)
      else box.by = value.by
    })
  },
}

/** Changes an object whose class merges. */
export const collect: Act = {
  name: 'collect',
  run: (visit) => {
    const item = visit.unique()
    visit.change({ kind: 'collect', key: 'bag', item }, (session) => {
      const bag = session.get('bag') ?? new Bag()
      bag.items.push(item)
      session.set('bag', bag)
    })
  },
}

export function remove(key: string): Act {
  return {
    name: `delete ${key}`,
    run: (visit) => visit.change({ kind: 'delete', key }, (session) => void session.delete(key)),
  }
}

export function take(key: string): Act {
  return {
    name: `take ${key}`,
    run: (visit) => {
      visit.check(key, visit.session.get(key))
      if (visit.session.has(key)) visit.change({ kind: 'delete', key }, (session) => void session.take(key))
    },
  }
}

export function claim(key: string): Act {
  return { name: `claim ${key}`, run: async (visit) => visit.claim(key) }
}

export const clear: Act = {
  name: 'clear',
  run: (visit) => visit.change({ kind: 'clear' }, (session) => session.clear()),
}

export const regenerate: Act = { name: 'regenerate', run: (visit) => visit.regenerate() }
export const destroy: Act = { name: 'destroy', run: async (visit) => visit.destroy() }
/** Ends the session that was heard of last, from outside. */
export const end: Act = {
  name: 'end by ID',
  run: async (visit) => visit.end(visit.world.ids.at(-1) ?? ''),
}
export const commit: Act = { name: 'commit', run: async (visit) => visit.commit() }

function setTo(visit: Visit, key: string, value: number | string): void {
  visit.change({ kind: 'set', key, value }, (session) => void session.set(key, value))
}
