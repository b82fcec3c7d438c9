import assert from 'node:assert/strict'
import type { Store } from '../../store.ts'
import type { StorePromise } from '../harness.ts'
import { promise, revocable } from '../requirement.ts'
import * as acts from './actions.ts'
import { Branches } from './choices.ts'
import { Run } from './simulation.ts'
import { Time } from './virtual-time.ts'
import type { Act } from './actions.ts'

/** Requests of up to six steps at the store, if nobody interferes. */
const requests: Readonly<Record<string, readonly Act[]>> = {
  reads: [acts.look],
  sets: [acts.set('a'), acts.setOwn, acts.alter, acts.collect],
  counts: [acts.count('n', 1)],
  'counts twice': [acts.count('n', 1), acts.commit, acts.count('n', 1)],
  resets: [acts.reset('n')],
  'deletes and takes': [acts.remove('a'), acts.remove('n'), acts.take('flash')],
  'deletes and sets anew': [acts.remove('a'), acts.set('a')],
  claims: [acts.claim('token')],
  'counts and claims': [acts.count('n', 1), acts.claim('token')],
  clears: [acts.clear],
  'clears and sets': [acts.clear, acts.set('a')],
  'logs in': [acts.regenerate, acts.set('a'), acts.count('n', 1)],
  'regenerates and clears': [acts.regenerate, acts.clear],
  destroys: [acts.destroy],
  'destroys and begins anew': [acts.destroy, acts.set('a')],
  'commits again and again': [acts.setOwn, acts.commit, acts.set('a'), acts.commit, acts.count('n', 1)],
}
const names = Object.keys(requests)

/**
 * Two requests on one session, in every order in which their steps at the store can follow each other, for any test
 * runner, like `storeContract`. What is checked is what {@link walks} check.
 */
export const interleavings: readonly StorePromise[] = names.map((name, at) => {
  const partners = names.slice(at)
  const title = `one that ${name} and another one: in every order of their steps nothing is lost and nothing comes back`
  return promise(title, revocable, async (store, trial, harness) => {
    const stores = await trial.pair(store)
    const time = new Time(harness)
    await Promise.all(partners.map(async (partner) => everyOrder(stores, time, name, partner)))
  })
})

async function everyOrder(stores: readonly Store[], time: Time, one: string, other: string): Promise<void> {
  const both = [one, other].map((name) => [...(requests[name] ?? []), acts.commit])
  const branches = new Branches()
  do {
    // In two processes: those of one process wait for each other, which leaves fewer orders.
    const run = new Run(stores, time, branches, 2)
    await run.go([[acts.begin]], () => undefined)
    await run.go(both, () => run.ids[0])
    await run.end()
    const { broken } = run.verdict
    assert.ok(broken.length === 0, `one ${one}, another ${other}\n${run.verdict.report()}`)
  } while (branches.next())
}
