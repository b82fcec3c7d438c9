import { randomBytes } from 'node:crypto'
import test from 'ava'
import { createKeyRing, type SealKey } from '../../../src/codec/seal/key-ring.ts'

function refused(keys: unknown): string {
  try {
    createKeyRing(keys as SealKey[], 'keys')
  } catch (error) {
    return error instanceof Error ? error.message : ''
  }
  return 'accepted'
}

test('security 44: keys that are short or can be guessed are refused with a recipe for a good one', (t) => {
  const recipe = /; make one with: openssl rand -base64 32$/
  for (const [key, why] of [
    ['', /is 0 bytes long/],
    ['keyboard cat', /is 12 bytes long/],
    [randomBytes(31), /is 31 bytes long, and a key has at least 32/],
    ['keyboard cat, dog, mouse and their 7 friends', /placeholder/],
    ['CHANGE-ME-9f8a7s6d5f4g3h2j1k0l-zqwxcev', /placeholder/],
    ['my super Secret key, which is long enough', /placeholder/],
    ['your-key-goes-here-your-friend-9f8a7s6d5f', /placeholder/],
    ['a'.repeat(64), /it repeats/],
    ['k3yB04rd-D0g'.repeat(3), /it repeats/],
    [`${'8fj2kd9s0a7x'.repeat(3)}8fj`, /it repeats/],
    ['0123456789abcdefghijklmnopqrstuvwxyz', /counts/],
    ['qwertyuiopasdfghjklzxcvbnmqwerty', /words/],
    ['qwertyuiopasdfghjklzxcvbnmqwertyuiopasdfghjkl', /words/],
    ['CorrectHorseBatteryStaplePurpleMonkeyDishwasher', /words/],
    [
      'correct horse battery staple, purple monkey',
      /is neither base64 nor hex, and a passphrase is no key|words/,
    ],
    ['Tr0ub4dor&3 and some more, to have 32 or so', /is neither base64 nor hex, and a passphrase is no key/],
    ['8675309867530912345098765432198765012345678901', /words or a number|counts/],
    [Buffer.from('Tr0ub4dor&3 and some more, to have 32').toString('base64'), /is a text in base64 or hex/],
    [Buffer.from('Tr0ub4dor&3 and some more, to have 32').toString('hex'), /is a text in base64 or hex/],
    [Buffer.from('Tr0ub4dor&3 and some more, to have 32'), /is text as bytes/],
    [randomBytes(24).toString('base64'), /is 24 bytes long, and a key has at least 32/],
    [randomBytes(24).toString('hex'), /is 24 bytes long, and a key has at least 32/],
    [`${randomBytes(32).toString('base64')}!`, /is neither base64 nor hex/],
    [Buffer.concat([Buffer.alloc(20, randomBytes(1)), randomBytes(12)]), /it repeats/],
    [Buffer.from(Array.from({ length: 32 }, (_, at) => 200 - at)), /counts/],
    [Buffer.alloc(32), /it repeats/],
    [Buffer.concat([Buffer.alloc(29), Buffer.from([1, 77, 3])]), /it repeats/],
  ] as const) {
    const text = refused([key])
    t.regex(text, why)
    t.regex(text, recipe)
    if (typeof key === 'string' && key !== '') t.false(text.includes(key), 'the text does not show the key')
  }
})

test('security 44: keys of 32 random bytes are accepted raw, in hex and in base64', (t) => {
  // No more iterations: one random key in 20 million contains a placeholder.
  for (let round = 0; round < 100; round += 1) {
    const bytes = randomBytes(32)
    for (const key of [bytes, bytes.toString('hex'), bytes.toString('base64'), bytes.toString('base64url')])
      t.is(refused([key]), 'accepted')
  }
})

test('security 44: a key is the same as bytes and in each spelling of them', (t) => {
  const bytes = randomBytes(32)
  const [first] = createKeyRing([bytes], 'keys')
  for (const text of [
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    bytes.toString('base64'),
    bytes.toString('base64').replace('=', ''),
    bytes.toString('base64url'),
  ]) {
    const [key] = createKeyRing([text], 'keys')
    t.deepEqual([key.id, key.subkey('a')], [first.id, first.subkey('a')])
  }
})

test('an invalid list of keys is refused with the position of the mistake', (t) => {
  const good = randomBytes(32)
  t.is(refused([]), 'keys: needs at least one key')
  t.is(refused('x'), 'keys: must be a list of keys')
  t.is(refused([good, 7]), 'keys[1]: must be a string, a Buffer, or { id, secret }')
  t.is(refused([{ id: 'a', secret: 7 }]), 'keys[0]: must be a string, a Buffer, or { id, secret }')
  for (const id of ['', 'a.b', 'a'.repeat(17), 'é', 7])
    t.is(refused([{ id, secret: good }]), 'keys[0].id: must be 1 to 16 letters, digits, - or _')
})

test('security 43: the ID of a key is the given one or derived from the secret, and no two keys share one', (t) => {
  const [one, two] = [randomBytes(32), randomBytes(32)]
  const [first, second] = createKeyRing([one, { id: '2026-08', secret: two }], 'keys')
  t.regex(first.id, /^[\w-]{4}$/)
  t.is(second?.id, '2026-08')
  t.is(createKeyRing([one], 'keys')[0].id, first.id, 'the same key has the same ID everywhere')
  t.regex(refused([one, one]), /the same key twice/)
  t.regex(
    refused([
      { id: 'a', secret: one },
      { id: 'a', secret: two },
    ]),
    /two keys of the same ID/,
  )
})

test('security 44: each purpose has its own subkeys', (t) => {
  const secret = randomBytes(32)
  const [key] = createKeyRing([secret], 'keys')
  t.is(key.subkey('a').length, 32)
  t.deepEqual(key.subkey('a'), key.subkey('a'))
  t.notDeepEqual(key.subkey('a'), key.subkey('b'))
  t.notDeepEqual(key.subkey('a'), secret)
})
