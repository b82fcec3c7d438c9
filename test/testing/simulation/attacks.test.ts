import test from 'ava'
import * as actions from '../../../src/testing/simulation/actions.ts'
import type { Action } from '../../../src/testing/simulation/actor.ts'
import { everyOrder, someOrders, type Outcome } from './orders.ts'

/** A log-in as it should be: what was known before is forgotten, and the session gets a new ID. */
const login: readonly Action[] = [actions.remove('csrf'), actions.regenerate, actions.put('user', 'victim')]

/** What an attacker may do who knows the ID from before the log-in. */
const attacks: Readonly<Record<string, readonly Action[]>> = {
  'signs in as himself': [actions.put('user', 'attacker')],
  'signs in as himself under a new ID': [actions.regenerate, actions.put('user', 'attacker')],
  'plants a token': [actions.setIfAbsent('csrf')],
  'plants a token again and again': [actions.set('csrf'), actions.commit, actions.set('csrf')],
  'reads and writes': [actions.get('user'), actions.set('a'), actions.commit, actions.look],
  'lists and writes': [actions.list, actions.set('csrf')],
  'claims a token': [actions.claim('token'), actions.put('csrf', 'attacker')],
  'changes objects in place': [actions.alter, actions.collect],
  'clears and signs in': [actions.clear, actions.put('user', 'attacker')],
  'signs out and in': [actions.destroy, actions.put('user', 'attacker')],
  'ends the session by its ID': [actions.endFirst, actions.put('user', 'attacker')],
}

/** What must not be, whatever the order: the victim is `a`, all others are the attacker. */
function verify({ firstId, idsOf, opened }: Outcome): string | undefined {
  const known = [firstId, ...['b', 'c'].flatMap((name) => idsOf(name))]
  if (known.some((id) => opened(id)?.get('user') === 'victim'))
    return "the attacker is in the victim's session"
  for (const id of idsOf('a')) {
    const state = opened(id)
    if (state?.get('user') === 'attacker') return "the victim is in the attacker's session"
    if (state?.has('csrf') === true) return 'the attacker has planted a token past the log-in'
  }
  return undefined
}

for (const [what, attack] of Object.entries(attacks)) {
  test(`security 24: an attacker who knows the ID from before the log-in and ${what} gains nothing, in any order`, async (t) => {
    const { orders, wrong } = await everyOrder({ requests: [login, attack], verify })
    t.is(wrong, undefined)
    t.true(orders > 10)
  })
}

test('security 24: two requests of an attacker gain nothing either, nor with a store that fails', async (t) => {
  const all = Object.values(attacks)
  for (const [at, attack] of all.entries()) {
    const requests = [login, attack, all[(at + 1) % all.length] ?? attack]
    for (const faults of [0, 6]) t.is(await someOrders({ requests, faults, verify }, 60), undefined)
  }
})
