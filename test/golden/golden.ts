import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { createVersion, Document, type Header } from '../../src/codec/document/document.ts'
import { defaultLimits } from '../../src/codec/limits.ts'
import { ValueCodec } from '../../src/codec/value/value-codec.ts'
import { Account, Point, registry } from '../fidelity/classes.ts'
import { kinds } from '../fidelity/kinds.ts'

/** Payloads that a release wrote, each with the fingerprint of its values: `<payload>---\n<fingerprint>`. */
export const folder = 'test/golden/format-1'
export const sums = 'test/golden/SHA256SUMS'

/** A folder of the file store, with sessions named like their golden files. */
export const shelves = 'test/golden/folder-1'
export const kept: readonly string[] = ['a-visitor', 'odd-keys', 'no-keys']
export const keptUntil: number = Date.UTC(2100, 0)

const SEPARATOR = '\n---\n'
/** Payloads too long for a review are left to the tests in `test/fidelity`. */
const LONGEST = 10_000
const codec = new ValueCodec(registry, defaultLimits)

/** A session whose payload is a file in the repository, and how it is made. */
export interface Golden {
  readonly name: string
  readonly header: Header
  readonly entries: readonly (readonly [key: string, make: () => unknown])[]
}

const header: Header = { version: 'GoldenGoldenGold', createdAt: 1_760_000_000_000, attributes: new Map() }

function golden(name: string, entries: Golden['entries'], attributes = header.attributes): Golden {
  return { name, header: { ...header, attributes }, entries }
}

/** One session for each kind of value, and some with unusual keys or headers. */
export const goldens: readonly Golden[] = [
  ...kinds
    .filter(([, , fate]) => fate === 'exact')
    .map(([name, make]) => golden(slug(name), [['value', make]])),
  golden('no-keys', []),
  golden(
    'odd-keys',
    [
      '',
      ' ',
      '"',
      '\\',
      'a\nb',
      '\0',
      '\u2028',
      'é',
      '🛒',
      '\ud800',
      '__proto__',
      '"a" J 1',
      ' #00000000',
    ].map((key, index) => [key, () => index]),
  ),
  golden(
    'attributes',
    [['user', () => 'ann']],
    new Map([
      ['a', ''],
      ['later-invented', 'x=1,~'],
    ]),
  ),
  golden('a-visitor', [
    ['userId', () => 4711],
    ['name', () => 'Änne'],
    ['account', () => new Account('ann', 2n ** 70n, new Date(1_760_000_000_123))],
    ['cart', () => new Map([['apple', { count: 2, at: new Point(3, -0) }]])],
    ['recent', () => [new URL('https://example.org/a?b'), new URL('https://example.org/')]],
    ['flash', () => ({ level: 'info', text: 'Welcome back!\n' })],
    ['token', () => Buffer.from('00ff10', 'hex')],
  ]),
].filter(({ entries }) => entries.every(([key, make]) => lineOf(make(), key).length < LONGEST))

/** The payload that the current version writes for it. */
export function payloadOf({ header, entries }: Golden): string {
  const lines = new Map(entries.map(([key, make]) => [key, lineOf(make(), key)]))
  return Document.empty(header).write(header, lines, defaultLimits)
}

/** The two parts of a golden file. */
export async function readGolden(name: string): Promise<{ payload: string; value: string }> {
  const text = await readFile(`${folder}/${name}.txt`, 'utf8')
  const at = text.indexOf(SEPARATOR)
  if (at === -1) throw new Error(`${name}: no golden file`)
  return { payload: text.slice(0, at + 1), value: text.slice(at + SEPARATOR.length) }
}

export function textOf(payload: string, value: string): string {
  return `${payload.slice(0, -1)}${SEPARATOR}${value}`
}

/** The names of the existing files. */
export async function goldenNames(): Promise<readonly string[]> {
  return (await readdir(folder)).map((file) => file.replace(/\.txt$/, '')).toSorted()
}

/** The line of a file in a list of `sha256sum`. */
export async function sumOf(name: string): Promise<string> {
  const bytes = await readFile(`${folder}/${name}.txt`)
  return `${createHash('sha256').update(bytes).digest('hex')}  format-1/${name}.txt`
}

/** The next payload, with one more key and all others copied. */
export function nextOf(payload: string): string {
  const document = Document.parse(payload, defaultLimits)
  const next = { ...document.header, version: createVersion() }
  return document.write(next, new Map([['one more', 'J 1']]), defaultLimits)
}

function lineOf(value: unknown, key: string): string {
  return codec.encode(value, key)
}

function slug(name: string): string {
  return name
    .replace(/^-/, 'minus ')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
}
