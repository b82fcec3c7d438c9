import assert from 'node:assert/strict'
import type { Store } from '../../store.ts'
import { requirement, revocable, type StoreRequirement } from '../requirement.ts'
import * as actions from './actions.ts'
import type { Action } from './actor.ts'
import { Branches } from './branches.ts'
import { Simulation } from './simulation.ts'
import { VirtualTime } from './virtual-time.ts'

/** Requests that call the store up to six times if no other request interferes. */
const requests: Readonly<Record<string, readonly Action[]>> = {
  reads: [actions.look],
  'sets without reading': [actions.set('a'), actions.setOwn],
  'reads and sets': [actions.readAndSet('a')],
  'sets what is missing': [actions.setIfAbsent('c')],
  'changes in place': [actions.alter, actions.collect],
  counts: [actions.count('n', 1)],
  'counts twice': [actions.count('n', 1), actions.commit, actions.count('n', 1)],
  'counts what is there': [actions.count('n', 1, 'skip'), actions.count('m', 1, 'throw')],
  resets: [actions.reset('n')],
  'deletes and takes': [actions.remove('a'), actions.remove('n'), actions.take('flash')],
  'reads and deletes': [actions.readAndRemove('a')],
  'deletes and sets anew': [actions.remove('a'), actions.set('a')],
  'takes and sets anew': [actions.takeAndSet('flash')],
  'lists and sets': [actions.list, actions.set('a')],
  claims: [actions.claim('token')],
  'counts and claims': [actions.count('n', 1), actions.claim('token')],
  clears: [actions.clear],
  'clears and sets': [actions.clear, actions.set('a')],
  'logs in': [actions.regenerate, actions.set('a'), actions.count('n', 1)],
  'regenerates and clears': [actions.regenerate, actions.clear],
  destroys: [actions.destroy],
  'ends by ID': [actions.endFirst],
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
 * Two requests on one session, in every order in which their calls of the store can follow each other.
 *
 * A list for any test runner, used like {@link storeContract}: one requirement for each kind of request, which
 * is tried together with all others. Checked is what {@link randomWalks} check. On a store in memory the whole list takes some
 * seconds. Applies to stores on a server that can destroy sessions.
 *
 * ```ts
 * for (const requirement of interleavings) test(requirement.title, async () => requirement.check(harness))
 * ```
 */
export const interleavings: readonly StoreRequirement[] = names.map((name, at) => {
  const partners = names.slice(at)
  const title = `a request that ${name}, in every order of steps with another one, loses nothing and brings nothing back`
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
    // In two processes: requests of one process wait for each other, which leaves fewer orders.
    const simulation = new Simulation(stores, time, branches, { processes: 2 })
    await simulation.go([[actions.begin]], () => undefined)
    await simulation.go(both, () => simulation.told[0]?.id)
    await simulation.end()
    const { broken } = simulation.violations
    assert.ok(broken.length === 0, `one request ${one}, another ${other}\n${simulation.violations.report()}`)
  } while (branches.next())
}
