import { Document } from '../../src/codec/document/document.ts'
import { defaultLimits } from '../../src/codec/limits.ts'

/** A payload that is designed to be expensive to read. */
export interface HostilePayload {
  readonly name: string
  readonly make: () => string
  readonly fate: 'read' | 'ERR_SESSION_LIMIT' | 'ERR_SESSION_PAYLOAD'
}

const { bytes } = defaultLimits
const ROOM = bytes - 100

/** A payload with this body, and the right length in its header. */
export function payloadOf(body: string, attributes = ''): string {
  return `kts1 AbCdEfGhIjKlMnOp 0 ${body.length}${attributes}\n${body}`
}

/** What a request may do with a session that it has found: look for keys, list them, and write. */
export function use(payload: string): void {
  const document = Document.parse(payload, defaultLimits)
  for (let key = 0; key < 100; key++) document.line(`k${key}`)
  void document.damaged
  const keys = document.keys()
  for (const key of keys) document.line(key)
  document.write(document.header, new Map(keys.map((key) => [key, undefined])), defaultLimits, true)
}

const lines = (count: number, make: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => make(index)).join('')
const fill = (piece: string): string => piece.repeat(Math.floor(ROOM / piece.length))

export const payloads: readonly HostilePayload[] = [
  {
    name: '1,000 keys in a megabyte',
    make: () => payloadOf(lines(1_000, (n) => `"k${n}" J "${'x'.repeat(1_020)}"\n`)),
    fate: 'read',
  },
  { name: '10,000 keys', make: () => payloadOf(lines(10_000, (n) => `"k${n}" J 1\n`)), fate: 'read' },
  {
    name: '10,001 keys',
    make: () => payloadOf(lines(10_001, (n) => `"k${n}" J 1\n`)),
    fate: 'ERR_SESSION_LIMIT',
  },
  {
    name: '60,000 keys',
    make: () => payloadOf(lines(60_000, (n) => `"k${n}" J 1\n`)),
    fate: 'ERR_SESSION_LIMIT',
  },
  {
    name: '10,000 escaped keys of 100 characters',
    make: () => payloadOf(lines(10_000, (n) => `"${'\\n'.repeat(45)}${n}" J 1\n`)),
    fate: 'read',
  },
  {
    name: '5,000 keys, each twice',
    make: () => payloadOf(lines(10_000, (n) => `"k${n % 5_000}" J 1\n`)),
    fate: 'read',
  },
  {
    name: 'the same key 10,000 times',
    make: () => payloadOf(lines(10_000, (n) => `"k0" J ${n}\n`)),
    fate: 'read',
  },
  {
    name: 'keys that begin alike, and are no line of their own',
    make: () => payloadOf(lines(10_000, (n) => `"k1${'x'.repeat(80)}${n}" J 1\n`)),
    fate: 'read',
  },
  { name: 'a million newlines', make: () => payloadOf(fill('\n')), fate: 'ERR_SESSION_LIMIT' },
  { name: '10,000 newlines', make: () => payloadOf('\n'.repeat(10_000)), fate: 'read' },
  { name: 'a key of a million backslashes', make: () => payloadOf(`"${fill('\\\\')}" J 1\n`), fate: 'read' },
  { name: 'a key of escapes that does not end', make: () => payloadOf(`"${fill('\\n')}\n`), fate: 'read' },
  {
    name: 'a key of long escapes that does not end',
    make: () => payloadOf(`"${fill('\\u00e9')}\n`),
    fate: 'read',
  },
  {
    name: '170 keys of escapes that do not end',
    make: () => payloadOf(`"${'\\n'.repeat(3_000)}\n`.repeat(170)),
    fate: 'read',
  },
  { name: 'a key of a million characters', make: () => payloadOf(`"${fill('k')}" J 1\n`), fate: 'read' },
  { name: 'quotes', make: () => payloadOf(`${fill('"\\"')}\n`), fate: 'read' },
  { name: '10,000 keys that do not end', make: () => payloadOf(lines(10_000, () => '"x\n')), fate: 'read' },
  {
    name: 'a text of which each half character looks like a newline',
    make: () => payloadOf(`"k" J "${'\u0a0a'.repeat(Math.floor(ROOM / 3) - 10)}"\n`),
    fate: 'read',
  },
  {
    name: 'no end of the header',
    make: () => `kts1 AbCdEfGhIjKlMnOp 0 5 a=${fill('x')}`,
    fate: 'ERR_SESSION_PAYLOAD',
  },
  {
    name: 'a header of 120,000 attributes',
    make: () =>
      payloadOf(
        '\n',
        lines(120_000, (n) => ` a${n.toString(36)}=`),
      ),
    fate: 'ERR_SESSION_PAYLOAD',
  },
  {
    name: 'a header of 1,000 attributes',
    make: () =>
      payloadOf(
        '\n',
        lines(1_000, (n) => ` a${n}=1`),
      ),
    fate: 'read',
  },
  {
    name: 'an attribute 250,000 times',
    make: () => payloadOf('\n', fill(' a=b')),
    fate: 'ERR_SESSION_PAYLOAD',
  },
  { name: 'a long attribute', make: () => payloadOf('\n', ` a=${fill('x')}`), fate: 'ERR_SESSION_PAYLOAD' },
]
