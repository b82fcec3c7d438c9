import { Session as Inspector, type Profiler } from 'node:inspector'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import * as zlib from 'node:zlib'
import { createRequire, syncBuiltinESMExports } from 'node:module'

/** What an action made the codec do, as numbers that are the same on any machine. */
export interface Work {
  /** How often the blocks of the codec's source ran: one for each call, branch and turn of a loop. */
  readonly steps: number
  /** How many characters the language's own functions searched, parsed, matched or wrote for it. */
  readonly characters: number
  /** How many regular expressions were compiled. */
  readonly patterns: number
  /** How many URLs were parsed. */
  readonly urls: number
}

const source = `${pathToFileURL(path.resolve('src/codec')).href}/`
let inspector: Inspector | undefined

const builtinZlib = createRequire(import.meta.url)('node:zlib') as { crc32: typeof zlib.crc32 }

/** Runs an action and counts its work. Whether it throws makes no difference. */
export function workOf(action: () => unknown): Work {
  const counted = { characters: 0, patterns: 0, urls: 0 }
  const restore = countBuiltins(counted)
  blocksRun()
  try {
    action()
  } catch {
    // To refuse is an answer, too.
  } finally {
    restore()
  }
  return { steps: blocksRun(), ...counted }
}

/** Counting makes the codec several times slower, so it begins with the first call of {@link workOf}. */
function startCounting(): Inspector {
  const started = new Inspector()
  started.connect()
  started.post('Profiler.enable')
  started.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  return started
}

/** How often the blocks of the codec ran since the last call. */
function blocksRun(): number {
  let steps = 0
  inspector ??= startCounting()
  // In a session with the own thread the answer comes before `post` returns.
  inspector.post('Profiler.takePreciseCoverage', (error, { result }) => {
    if (error !== null) throw error
    for (const script of result) if (script.url.startsWith(source)) steps += blocksOf(script)
  })
  return steps
}

function blocksOf({ functions }: Profiler.ScriptCoverage): number {
  let blocks = 0
  for (const { ranges } of functions) for (const { count } of ranges) blocks += count
  return blocks
}

type Counted = { -readonly [K in Exclude<keyof Work, 'steps'>]: Work[K] }
type Wrapped = (this: unknown, ...args: unknown[]) => unknown

/** Replaces what takes longer for longer texts by functions that count. Returns a function that undoes it. */
function countBuiltins(counted: Counted): () => void {
  const undo: (() => void)[] = []
  const replace = (
    owner: object,
    name: string,
    length: (result: unknown, self: unknown, args: unknown[]) => number,
  ): void => {
    const original = Reflect.get(owner, name) as Wrapped
    const wrapped: Wrapped = function (...args) {
      const result = Reflect.apply(original, this, args)
      counted.characters += length(result, this, args)
      return result
    }
    const descriptor = Reflect.getOwnPropertyDescriptor(owner, name)
    Object.defineProperty(owner, name, { ...descriptor, value: wrapped })
    undo.push(() => Object.defineProperty(owner, name, descriptor ?? {}))
  }
  replace(JSON, 'parse', (_, __, [text]) => lengthOf(text))
  replace(JSON, 'stringify', (text) => lengthOf(text))
  replace(RegExp.prototype, 'exec', (_, __, [text]) => lengthOf(text))
  replace(Buffer, 'from', (_, __, [text]) => lengthOf(text))
  replace(builtinZlib, 'crc32', (_, __, [text]) => lengthOf(text))
  for (const name of ['indexOf', 'includes', 'lastIndexOf', 'startsWith'])
    replace(String.prototype, name, (result, text, [what, from]) => {
      if (name === 'startsWith') return lengthOf(what)
      const start = typeof from === 'number' ? from : 0
      return typeof result === 'number' && result >= start
        ? result - start
        : Math.max(0, lengthOf(text) - start)
    })
  for (const [name, kind] of [
    ['RegExp', 'patterns'],
    ['URL', 'urls'],
  ] as const) {
    const original = Reflect.get(globalThis, name) as new (...args: unknown[]) => object
    const handler: ProxyHandler<typeof original> = {
      construct(target, args, newTarget) {
        counted[kind]++
        return Reflect.construct(target, args, newTarget) as object
      },
    }
    Object.defineProperty(globalThis, name, {
      value: new Proxy(original, handler),
      configurable: true,
      writable: true,
    })
    undo.push(() =>
      Object.defineProperty(globalThis, name, { value: original, configurable: true, writable: true }),
    )
  }
  syncBuiltinESMExports()
  return () => {
    for (const each of undo) each()
    syncBuiltinESMExports()
  }
}

function lengthOf(text: unknown): number {
  return typeof text === 'string' || text instanceof Uint8Array ? text.length : 0
}
