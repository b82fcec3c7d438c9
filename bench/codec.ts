/**
 * What it costs to turn a session into text and back, beside JSON and the peers.
 *
 *     npm i --prefix bench && npx tsx bench/codec.ts [--json] [--rounds=200]
 *
 * All contenders take turns within each round, so that a busy moment of the machine hits all of them; a ratio is the
 * median over the rounds of a contender's time divided by JSON's time in the same round. JSON gets the same
 * objects, of which it makes what it can: dates become text, and instances plain objects, for good. Only bigints, which it
 * refuses, are given to it as text.
 *
 * The peers are given what they need to bring the classes back where they can. v8 and msgpackr cannot, so they do less.
 */
import * as v8 from 'node:v8'
import { SuperJSON } from 'superjson'
import { createVersion, Document, type Header } from '../src/codec/document/document.ts'
import { defaultLimits } from '../src/codec/limits.ts'
import { ValueCodec } from '../src/codec/value/value-codec.ts'
import { createRegistry } from '../src/registry.ts'

class Item {
  readonly sku: string
  readonly name: string
  readonly quantity: number
  readonly price: bigint
  readonly added: Date

  constructor(index: number) {
    this.sku = `SKU-${1000 + index}`
    this.name = `A thing of the kind number ${index}`
    this.quantity = (index % 5) + 1
    this.price = BigInt(1999 + index)
    this.added = new Date(1_760_000_000_000 + index * 60_000)
  }
}

class Cart {
  readonly items: Item[]
  readonly currency = 'EUR'
  readonly updated: Date = new Date(1_760_000_500_000)

  constructor(items: number) {
    this.items = Array.from({ length: items }, (_, index) => new Item(index))
  }
}

/** A row of a result: the shape of "500 class instances", with fields of every JSON type. */
class Row {
  readonly id: number
  readonly name: string
  readonly email: string
  readonly active: boolean
  readonly score: number

  constructor(index: number) {
    this.id = index
    this.name = `Person number ${index}`
    this.email = `person-${index}@example.com`
    this.active = index % 2 === 0
    this.score = index / 8
  }
}

type Session = Record<string, unknown>

interface Contender {
  readonly name: string
  readonly encode: (session: Session) => unknown
  readonly decode: (encoded: unknown) => unknown
}

const typical: Session = {
  userId: 4711,
  name: 'Ada Lovelace',
  roles: ['customer', 'editor'],
  cart: new Cart(3),
  lastLogin: new Date(1_760_000_000_000),
  flash: 'Welcome back, your cart is as you left it',
  csrf: 'pT3zqUfyQw0n5eJ4rJmTqNwB2cXkL8sVdHgA1iO9uRE',
}

const instances: Session = { rows: Array.from({ length: 500 }, (_, index) => new Row(index)) }

const plain: Session = {
  userId: 4711,
  user: {
    name: 'Ada Lovelace',
    email: 'ada@example.com',
    locale: 'en-GB',
    roles: ['customer', 'editor'],
    verified: true,
  },
  tokens: {
    access: `eyJhbGciOiJSUzI1NiJ9.${'c2Vzc2lvbi1wYXlsb2Fk'.repeat(24)}.${'c2lnbmF0dXJl'.repeat(20)}`,
    refresh: 'v1.MRjcyNDEtYTk0Zi00ZjQ5LWE2YjItNzM4YzE1ZTQ0YjU1',
    expiresAt: 1_760_003_600_000,
  },
  preferences: {
    theme: 'dark',
    perPage: 50,
    columns: ['name', 'price', 'stock'],
    newsletter: false,
    timezone: 'Europe/London',
  },
  recent: Array.from({ length: 8 }, (_, index) => ({
    path: `/products/a-thing-of-the-kind-number-${index}`,
    at: 1_760_000_000_000 + index,
  })),
  flash: 'Welcome back, your cart is as you left it',
  csrf: 'pT3zqUfyQw0n5eJ4rJmTqNwB2cXkL8sVdHgA1iO9uRE',
}

const rows: Session = { rows: Array.from({ length: 500 }, (_, index) => Object.assign({}, new Row(index))) }

const registry = createRegistry()
for (const type of [Item, Cart, Row]) registry.registerType<object>(type)
const codec = new ValueCodec(registry, defaultLimits)
const header: Header = { version: createVersion(), createdAt: 1_760_000_000_000, attributes: new Map() }

const ours: Contender = {
  name: 'ours',
  encode(session) {
    const lines = new Map<string, string>()
    for (const key of Object.keys(session)) lines.set(key, codec.encode(session[key], key))
    return Document.empty(header).write({ ...header, version: createVersion() }, lines, defaultLimits)
  },
  decode(encoded) {
    const document = Document.parse(String(encoded), defaultLimits)
    const values = new Map<string, unknown>()
    for (const key of document.keys()) values.set(key, codec.decode(document.line(key) ?? '', key))
    return values
  },
}

const json: Contender = {
  name: 'JSON',
  encode: (session) => JSON.stringify(session),
  decode: (encoded) => JSON.parse(String(encoded)) as unknown,
}

async function contenders(): Promise<Contender[]> {
  const superjson = new SuperJSON()
  for (const type of [Item, Cart, Row]) superjson.registerClass(type)
  const devalue = await load<{
    stringify: (value: unknown, reducers: object) => string
    parse: (text: string, revivers: object) => unknown
  }>('devalue')
  const { Packr } = await load<{
    Packr: new (options: object) => { pack: (value: unknown) => Buffer; unpack: (bytes: unknown) => unknown }
  }>('msgpackr')
  const packr = new Packr({ moreTypes: true, useRecords: false, int64AsType: 'bigint' })
  const types = [Item, Cart, Row]
  const reducers = Object.fromEntries(
    types.map((type) => [type.name, (value: unknown) => value instanceof type && Object.assign({}, value)]),
  )
  const revivers = Object.fromEntries(
    types.map((type) => [
      type.name,
      (fields: object) => Object.assign(Object.create(type.prototype), fields) as object,
    ]),
  )
  return [
    ours,
    {
      name: 'superjson',
      encode: (session) => superjson.stringify(session),
      decode: (text) => superjson.parse(String(text)),
    },
    {
      name: 'devalue',
      encode: (session) => devalue.stringify(session, reducers),
      decode: (text) => devalue.parse(String(text), revivers),
    },
    {
      name: 'v8',
      encode: (session) => v8.serialize(session),
      decode: (bytes) => v8.deserialize(bytes as Buffer) as unknown,
    },
    { name: 'msgpackr', encode: (session) => packr.pack(session), decode: (bytes) => packr.unpack(bytes) },
  ]
}

/** The peers are installed apart, so the compiler does not see them. */
async function load<T>(name: string): Promise<T> {
  return (await import(name)) as T
}

/** The same objects with bigints as text. */
function withoutBigints(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  if (Array.isArray(value)) return value.map(withoutBigints)
  const copy = Object.create(Object.getPrototypeOf(value)) as Session
  for (const [name, field] of Object.entries(value)) copy[name] = withoutBigints(field)
  return copy
}

interface Result {
  readonly workload: string
  readonly operation: string
  readonly contender: string
  readonly microseconds: number
  readonly ratio: number
}

interface Turn {
  readonly name: string
  readonly run: () => unknown
}

let kept: unknown

function time(run: () => unknown, times: number): number {
  const start = process.hrtime.bigint()
  for (let i = 0; i < times; i++) kept = run()
  return Number(process.hrtime.bigint() - start) / times / 1000
}

/** Long enough for everything to be compiled as it will be in a server that has been up for a minute. */
const WARM_UP = 400_000
const TURN = 1_000

/** Microseconds per round for each turn, all of them in every round. */
function compete(turns: readonly Turn[], rounds: number): number[][] {
  const times = turns.map(({ run }) => {
    let [spent, batch] = [0, 0]
    for (; spent < WARM_UP; batch++) spent += time(run, 20) * 20
    return Math.max(1, Math.round(TURN / (spent / batch / 20)))
  })
  const measured: number[][] = turns.map(() => [])
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < turns.length; i++) {
      const at = (i + round) % turns.length
      const turn = turns[at]
      if (turn !== undefined) measured[at]?.push(time(turn.run, times[at] ?? 1))
    }
  }
  return measured
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

function measure(workload: string, session: Session, peers: readonly Contender[], rounds: number): Result[] {
  const twin = withoutBigints(session) as Session
  const results: Result[] = []
  for (const operation of ['encode', 'decode'] as const) {
    const turns = [json, ...peers].map((contender): Turn => {
      const data = contender === json ? twin : session
      const encoded = contender.encode(data)
      return {
        name: contender.name,
        run: operation === 'encode' ? () => contender.encode(data) : () => contender.decode(encoded),
      }
    })
    const measured = compete(turns, rounds)
    const base = measured[0] ?? []
    for (const [i, turn] of turns.entries()) {
      const own = measured[i] ?? []
      const ratio = median(own.map((value, round) => value / (base[round] ?? Number.NaN)))
      results.push({ workload, operation, contender: turn.name, microseconds: median(own), ratio })
    }
  }
  return results
}

/** A session of 33 KB of which a request needs one small key. */
function measureLazy(rounds: number): Result[] {
  const lines = new Map<string, string>()
  for (let i = 0; i < 24; i++) {
    const key = `part${i}`
    lines.set(key, codec.encode(new Cart(i % 2 === 0 ? 25 : 1), key))
  }
  lines.set('userId', codec.encode(4711, 'userId'))
  for (let i = 24; i < 32; i++)
    lines.set(`part${i}`, codec.encode(`A text of some length: ${'x'.repeat(600)}`, 'part'))
  const payload = Document.empty(header).write(header, lines, defaultLimits)
  let count = 0
  const turns: Turn[] = [
    {
      name: `open ${(payload.length / 1024).toFixed(0)} KB, read one small key`,
      run: () => codec.decode(Document.parse(payload, defaultLimits).line('userId') ?? '', 'userId'),
    },
    {
      name: `write one small key, make the payload`,
      run() {
        const document = Document.parse(payload, defaultLimits)
        const changes = new Map([['userId', codec.encode(count++, 'userId')]])
        return document.write({ ...document.header, version: createVersion() }, changes, defaultLimits)
      },
    },
  ]
  return compete(turns, rounds).map((own, i) => ({
    workload: 'lazy',
    operation: turns[i]?.name ?? '',
    contender: 'ours',
    microseconds: median(own),
    ratio: Number.NaN,
  }))
}

async function main(): Promise<void> {
  const rounds = Number(process.argv.find((argument) => argument.startsWith('--rounds='))?.slice(9) ?? 200)
  const peers = process.argv.includes('--ours') ? [ours] : await contenders()
  const results = [
    ...measure('typical typed session', typical, peers, rounds),
    ...measure('500 class instances', instances, peers, rounds),
    ...measure('plain JSON session', plain, peers, rounds),
    ...measure('plain JSON, 500 small objects', rows, peers, rounds),
    ...measureLazy(rounds),
  ]
  if (process.argv.includes('--json')) {
    console.log(JSON.stringify({ node: process.version, rounds, results, kept: kept !== undefined }))
    return
  }
  let workload = ''
  for (const result of results) {
    if (result.workload !== workload) console.log(`\n${(workload = result.workload)}`)
    const ratio = Number.isNaN(result.ratio) ? '' : `${result.ratio.toFixed(2)}×`
    console.log(
      `  ${result.operation.padEnd(40)} ${result.contender.padEnd(10)} ${result.microseconds.toFixed(2).padStart(10)} µs ${ratio.padStart(8)}`,
    )
  }
}

await main()
