import assert from 'node:assert/strict'
import { VERSION_LENGTH, type Store, type StoreTraits } from '../../store.ts'
import { everywhere, requirement, type StoreRequirement } from '../requirement.ts'
import { applied, assertAbsent, assertKept, found, HOUR, payload, type Trial } from '../trial.ts'

const MEGABYTE: number = 1024 * 1024

/** Payloads at the store's limit are tested only up to this limit: larger ones take too long. */
const TRIABLE: number = 32 * MEGABYTE

/** Well-formed text. All of it must be kept, except NUL, which JSON never emits and PostgreSQL cannot store. */
const TEXTS: Readonly<Record<string, readonly string[]>> = {
  'no body': [''],
  'nothing but white space': [' ', '\n', '   ', '\t', '\n\n\n'],
  'white space at the end': [' body ', ' body\n', ' body\r\n', ' body\t', ' body\u00A0'],
  'line ends of every kind': [' a\nb', ' a\r\nb', ' a\rb', ' a\u2028b\u2029c', ' a\u0085b', '\n\r\n\r'],
  'quotes, backslashes and escapes': [
    ' "\'`',
    ' \\',
    ' \\\\ \\n \\0 \\x00 \\u0000',
    ' \'\' "" \\\' \\"',
    ' %00 %0A %25 &amp;',
  ],
  'wildcards and placeholders': [' % _ %s %d ? ?? $1 $$ :name @p1 {0} ${x} #{x} {{x}}', ' [a-z]* ~ ^ | \\d+'],
  'text that looks like SQL, Lua or a protocol': [
    " '; DROP TABLE session; --",
    ' "] = nil; redis.call("FLUSHALL") --[[',
    '\r\nEND\r\nSTORED\r\nVALUE x 0 1\r\n',
    ' NULL null undefined NaN true -1 0x10 1e3',
    ' {"$ne":null} [1,2] <xml/> kts1 kts2',
  ],
  'control characters': [
    Array.from({ length: 31 }, (_, at) => String.fromCharCode(at + 1)).join('') + '\u007F\u0080\u009F',
  ],
  'emoji and everything beyond the basic plane': [' 😀', ' 👩‍👩‍👧‍👦🏳️‍🌈', ' 𝒳𐍈\u{10FFFF}\u{1F1E9}\u{1F1EA}'],
  'combining marks, composed and not': [' é', ' e\u0301', ' \u1E9B\u0323', ' ﬁ Å \u212B', ' İıßẞſ'],
  'marks of order, width and direction': [
    ' \uFEFF',
    ' \u200B\u200D\u202E\u2066x',
    ' \uFFFD\uFFFE\uFFFF',
    ' مرحبا שלום',
  ],
}

/** A payload is opaque text, and is read back unchanged. */
export const payloads: readonly StoreRequirement[] = [
  ...Object.entries(TEXTS).map(([kind, bodies]) =>
    requirement(`a payload comes back byte for byte: ${kind}`, everywhere, async (store, trial) => {
      for (const body of bodies) await comesBack(store, trial, payload(body))
    }),
  ),

  requirement(
    'a payload comes back byte for byte: every character of the basic plane',
    everywhere,
    async (store, trial) => {
      const slice = Math.min(8_192, Math.floor(store.traits.maxBytes / 8))
      for (let start = 1; start < 0x10000; start += slice) {
        const units = Array.from({ length: Math.min(slice, 0x10000 - start) }, (_, at) => start + at)
        const whole = units.filter((unit) => unit < 0xd800 || unit > 0xdfff)
        await comesBack(store, trial, payload(String.fromCharCode(...whole)))
      }
    },
  ),

  requirement(
    'a payload comes back byte for byte: of every size up to a megabyte',
    everywhere,
    async (store, trial) => {
      const most = Math.min(MEGABYTE, store.traits.maxBytes)
      for (const size of [255, 256, 1_023, 4_096, 65_535, 65_536, 65_537, MEGABYTE - 1_024, most]) {
        if (size <= most) await comesBack(store, trial, sized(size))
      }
    },
  ),

  requirement(
    'a payload comes back byte for byte: characters across the boundaries of buffers',
    everywhere,
    async (store, trial) => {
      const most = Math.min(200_000, store.traits.maxBytes)
      for (const shift of ['', 'x', 'xx', 'xxx']) {
        await comesBack(
          store,
          trial,
          payload(shift + '😀é€'.repeat(Math.floor((most - VERSION_LENGTH - 3) / 9))),
        )
      }
    },
  ),

  requirement('a payload of the largest size is kept', limited, async (store, trial) => {
    await comesBack(store, trial, sized(store.traits.maxBytes))
  }),

  requirement('a payload that is too large is refused before it is stored', limited, async (store, trial) => {
    const { maxBytes } = store.traits
    const key = trial.key()
    for (const large of [sized(maxBytes + 1), payload('é'.repeat(Math.ceil(maxBytes / 2)))]) {
      await refused(store.create(key, large, trial.in(HOUR)))
      if (store.traits.location === 'server') await assertAbsent(store, key)
    }
  }),

  requirement(
    'a replace that is too large is refused, and the old payload stays',
    limited,
    async (store, trial) => {
      const text = payload()
      const { key, entry } = await trial.keep(store, text)
      await refused(store.replace(key, sized(store.traits.maxBytes + 1), trial.in(HOUR), entry))
      await assertKept(store, key, text)
      applied(await store.replace(key, payload(), trial.in(HOUR), entry))
    },
  ),
]

function limited(traits: StoreTraits): boolean {
  return traits.maxBytes <= TRIABLE
}

/** A payload of this many bytes. Its numbers count up, so that a lost or repeated piece is found. */
function sized(bytes: number): string {
  const digits = Array.from({ length: 1_000 }, (_, at) => at).join('-')
  const rest = bytes - VERSION_LENGTH
  return payload(digits.repeat(Math.ceil(rest / digits.length)).slice(0, rest))
}

/** Stores the payload by create, and by replace. */
async function comesBack(store: Store, trial: Trial, text: string): Promise<void> {
  const created = await trial.keep(store, text)
  await assertKept(store, created.key, text)
  const { key, entry } = await trial.keep(store)
  const replaced = found(key, applied(await store.replace(key, text, trial.in(HOUR), entry)))
  const again = await assertKept(store, replaced.key, text)
  // The backend also compares with what it stored.
  applied(await store.replace(replaced.key, payload(), trial.in(HOUR), again))
}

async function refused(write: Promise<unknown>): Promise<void> {
  await assert.rejects(write, { name: 'SessionError', code: 'ERR_SESSION_LIMIT' })
}
