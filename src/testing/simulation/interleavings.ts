import assert from 'node:assert/strict'
import type { Store } from '../../store.ts'
import type { StoreRequirement } from '../harness.ts'
import { requirement, revocable } from '../requirement.ts'
import * as actions from './actions.ts'
import { Branches } from './choices.ts'
import { Simulation } from './simulation.ts'
import { VirtualTime } from './virtual-time.ts'
import type { Action } from './actions.ts'

/** Requests of up to six steps at the store, if nobody interferes. */
const requests: Readonly<Record<string, readonly Action[]>> = {
  reads: [actions.look],
  sets: [actions.set('a'), actions.setOwn, actions.alter, actions.collect],
  counts: [actions.count('n', 1)],
  'counts twice': [actions.count('n', 1), actions.commit, actions.count('n', 1)],
  resets: [actions.reset('n')],
  'deletes and takes': [actions.remove('a'), actions.remove('n'), actions.take('flash')],
  'deletes and sets anew': [actions.remove('a'), actions.set('a')],
  claims: [actions.claim('token')],
  'counts and claims': [actions.count('n', 1), actions.claim('token')],
  clears: [actions.clear],
  'clears and sets': [actions.clear, actions.set('a')],
  'logs in': [actions.regenerate, actions.set('a'), actions.count('n', 1)],
  'regenerates and clears': [actions.regenerate, actions.clear],
  destroys: [actions.destroy],
  'destroys and begins anew': [actions.destroy, actions.set('a')],
  'commits again and again': [
    actions.setOwn,
    actions.commit,
    actions.set('a'),
    actions.commit,
    actions.count('n', 1),
  ],
}
const names = Object.keys(requests)

/**
 * Two requests on one session, in every order in which their steps at the store can follow each other, for any test
 * runner, like `storeContract`. What is checked is what {@link randomWalks} check.
 */
export const interleavings: readonly StoreRequirement[] = names.map((name, at) => {
  const partners = names.slice(at)
  const title = `one that ${name} and another one: in every order of their steps nothing is lost and nothing comes back`
  return requirement(title, revocable, async (store, trial, harness) => {
    const stores = await trial.pair(store)
    const time = new VirtualTime(harness)
    await Promise.all(partners.map(async (partner) => everyOrder(stores, time, name, partner)))
  })
})

async function everyOrder(
  stores: readonly Store[],
  time: VirtualTime,
  one: string,
  other: string,
): Promise<void> {
  const both = [one, other].map((name) => [...(requests[name] ?? []), actions.commit])
  const branches = new Branches()
  do {
    // In two processes: those of one process wait for each other, which leaves fewer orders.
    const simulation = new Simulation(stores, time, branches, 2)
    await simulation.go([[actions.begin]], () => undefined)
    await simulation.go(both, () => simulation.ids[0])
    await simulation.end()
    const { broken } = simulation.violations
    assert.ok(broken.length === 0, `one ${one}, another ${other}\n${simulation.violations.report()}`)
  } while (branches.next())
}
