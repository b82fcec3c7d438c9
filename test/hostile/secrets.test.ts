import test from 'ava'
import { inspect } from 'node:util'
import { Document } from '../../src/codec/document/document.ts'
import { defaultLimits } from '../../src/codec/limits.ts'
import { SessionError } from '../../src/index.ts'
import { Mutator } from './mutator.ts'
import { Canary, codec, Guarded, Wallet } from './world.ts'

/** It does not look like the name of a class, because errors quote the name of an unregistered class. */
const SECRET = 'hunter 2'
const header = { version: 'AbCdEfGhIjKlMnOp', createdAt: 0, attributes: new Map<string, string>() }

/** The text of an error and all its causes, as a logger would print it. */
function textOf(error: unknown): string {
  return `${String(error)} ${inspect(error, { depth: 10, showHidden: true })}`
}

test('no error shows a value that was refused', (t) => {
  const bad = (): number => 1
  const refused: unknown[] = [
    { a: SECRET, b: bad },
    [SECRET, bad],
    new Map<unknown, unknown>([[SECRET, bad]]),
    new Map<unknown, unknown>([[{ [SECRET.slice(0, 3)]: SECRET }, [bad]]]),
    new Set<unknown>([SECRET, bad]),
    new Guarded(SECRET, SECRET as unknown as number),
    Object.assign(new Guarded('x', 1), { extra: SECRET }),
    [new Guarded(SECRET, NaN)],
    Symbol(SECRET),
    Object.assign(bad, { description: SECRET }),
    Object.assign(new Error(SECRET), { b: bad }),
    new (class Unknown {
      secret = SECRET
    })(),
    Wallet.of(SECRET as unknown as bigint, bad as unknown as bigint),
    [new URL(`https://example.org/${SECRET}`), bad],
    [Buffer.from(SECRET), bad],
    [new RegExp(SECRET), bad],
    SECRET.repeat(100_000),
    [SECRET.repeat(100_000), 1n],
    { a: SECRET, deep: JSON.parse('['.repeat(200) + ']'.repeat(200)) as unknown },
    new URL(`https://example.org/${SECRET.repeat(2_000)}`),
    new RegExp(SECRET.repeat(200)),
  ]
  for (const [index, value] of refused.entries()) {
    const error = t.throws(() => codec.encode(value, 'key'), { instanceOf: SessionError }, `number ${index}`)
    t.notRegex(textOf(error), /hunter/, `number ${index}`)
  }
})

test('no error shows a part of text that cannot be decoded, not even in its cause', (t) => {
  const values: unknown[] = [
    SECRET,
    { a: SECRET, b: [SECRET] },
    { a: SECRET, b: 1n },
    new Map([[SECRET, new Canary()]]),
    [Object.assign(new Canary(), { name: SECRET })],
    [new Guarded(SECRET, 1)],
    Object.assign(new Error(SECRET), { code: SECRET }),
    [new URL(`https://example.org/?${SECRET}`), new RegExp(SECRET), [SECRET]],
    Object.assign([{}], [{ a: SECRET }]),
  ]
  const lines = values.map((value) => codec.encode(value, 'key'))
  const mutator = new Mutator(1)
  let errors = 0
  const look = (line: string): void => {
    try {
      codec.decode(line, 'key')
    } catch (error) {
      errors++
      if (/hunter/.test(textOf(error))) t.fail(`${JSON.stringify(line)}: ${textOf(error)}`)
    }
  }
  for (const line of lines) for (let end = 0; end < line.length; end++) look(line.slice(0, end))
  for (let n = 0; n < 5_000; n++) look(mutator.mutate(mutator.one(lines), mutator.one(lines)))
  for (const text of [
    `J ${SECRET}`,
    `T \t${SECRET}`,
    `T ${SECRET}\t1`,
    `S ${SECRET}\t\t1`,
    SECRET,
    `T \t"~${SECRET}"`,
    `T \t["~${SECRET.toUpperCase()}"]`,
    `T \t"~n${SECRET}"`,
    `S \t\t["~Error","${SECRET}",{},{}]`,
  ])
    look(text)
  t.true(errors > 3_000)
})

test('no error shows a part of a payload, nor a key in it', (t) => {
  const payload = Document.empty(header).write(
    header,
    new Map([
      [SECRET, `J "${SECRET}"`],
      ['b', `J "${SECRET}"`],
    ]),
    defaultLimits,
  )
  const mutator = new Mutator(2)
  let errors = 0
  for (let n = 0; n < 5_000; n++) {
    let text = mutator.mutate(payload, payload)
    const end = text.indexOf('\n')
    if (n % 2 === 0) text = text.replace(/^(kts1 \S+ \d+) \d+(?: #\w+)?/, `$1 ${text.length - end - 1}`)
    try {
      const document = Document.parse(text, defaultLimits)
      document.keys()
      document.write(header, new Map([['a', 'J 1']]), defaultLimits)
    } catch (error) {
      errors++
      t.notRegex(textOf(error), /hunter/)
    }
  }
  t.true(errors > 1_000)
})
