// Reads which file of `src/` imports which. `npm run structure` prints it, `test/layers.test.ts` checks it.
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'

/** One import of a file. Types count: who reads a file has to know the types that it names. */
export interface Import {
  /** What stands between the quotes. */
  readonly specifier: string
  /** The path below `src/` of an imported file, `undefined` for a package. */
  readonly target: string | undefined
  /**
   * `value`: loaded with the file. `type`: erased by the compiler. `call`: `import('…')`, as an expression or as a type.
   * `import { type A } from 'b'` is a `value`: with `verbatimModuleSyntax` the compiler still loads `b`.
   */
  readonly kind: 'value' | 'type' | 'call'
}

/** A file of `src/`. */
export interface SourceFile {
  /** Its path below `src/`, with `/`. */
  readonly name: string
  readonly text: string
  /** The text with comments, templates and regular expressions left out. */
  readonly code: string
  readonly imports: readonly Import[]
}

/** From each node to those that it leads to. */
export type Graph = ReadonlyMap<string, readonly string[]>

/** Comments, strings, templates and regular expressions, so that none is taken for another. */
const TOKENS = new RegExp(
  [
    String.raw`\/\/.*|\/\*[\s\S]*?\*\/`,
    String.raw`'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"`,
    String.raw`\x60(?:\\[\s\S]|[^\\\x60])*\x60`,
    String.raw`(?<=[=(,:[!&|?{};>]\s*|\breturn )\/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/`,
  ].join('|'),
  'g',
)
const STATEMENT =
  /^(?:import|export)\s+(?:(?<type>type)\s+(?=[{*\w]))?(?:(?:[\w$*,\s]|\{[\w$,\s]*\})+?\bfrom\s*)?(?:'(?<one>[^']+)'|"(?<two>[^"]+)")/gm
/** What stands before the name of a module. */
const SPECIFIED = /\b(?:from|import)\s*\(?\s*$/
const CALL = /\bimport\s*\(\s*(?:'(?<one>[^']+)'|"(?<two>[^"]+)")?/g

/** The code of a module without what only looks like code. Of its strings only those stay that name what is imported. */
export function codeOf(text: string): string {
  return text.replaceAll(TOKENS, (token, at: number) => {
    if (!token.startsWith("'") && !token.startsWith('"')) return ' '
    return SPECIFIED.test(text.slice(Math.max(0, at - 20), at)) ? token : "''"
  })
}

/**
 * All imports of one file: `import`, `export … from`, `import type`, `import('…')` and `import('…').Type`.
 *
 * @param name its path below `src/`
 * @throws Error if an `import()` takes something else than a text, so that nothing could be said about it
 */
export function importsOf(name: string, code: string): readonly Import[] {
  const imports: Import[] = []
  const add = (specifier: string, kind: Import['kind']): void => {
    const target = specifier.startsWith('.')
      ? path.posix.join(path.posix.dirname(name), specifier)
      : undefined
    imports.push({ specifier, target, kind })
  }
  for (const { groups = {} } of code.matchAll(STATEMENT)) {
    add(groups['one'] ?? groups['two'] ?? '', groups['type'] === undefined ? 'value' : 'type')
  }
  for (const { groups = {} } of code.matchAll(CALL)) {
    const specifier = groups['one'] ?? groups['two']
    if (specifier === undefined) throw new Error(`src/${name}: import() must take a string literal`)
    add(specifier, 'call')
  }
  return imports
}

/** Every TypeScript file below `folder`, in the order of their names. */
export async function readSource(folder = 'src'): Promise<readonly SourceFile[]> {
  const names = (await readdir(folder, { recursive: true }))
    .map((name) => name.split(path.sep).join('/'))
    .filter((name) => name.endsWith('.ts'))
  return Promise.all(
    names.toSorted().map(async (name) => {
      const text = await readFile(path.join(folder, name), 'utf8')
      const code = codeOf(text)
      return { name, text, code, imports: importsOf(name, code) }
    }),
  )
}

/** Which file imports which. */
export function graphOf(files: readonly SourceFile[]): Graph {
  return new Map(
    files.map(({ name, imports }) => [
      name,
      [...new Set(imports.flatMap(({ target }) => (target === undefined ? [] : [target])))],
    ]),
  )
}

/** The top-level entry of `src/` that a file belongs to: `codec`, `store.ts`. */
export function roomOf(name: string): string {
  return name.split('/')[0] ?? name
}

/** The groups of nodes that lead to one another, by Tarjan's algorithm; what a node leads to comes before it. */
export function componentsOf(graph: Graph): readonly (readonly string[])[] {
  const components: string[][] = []
  const order = new Map<string, number>()
  const lowest = new Map<string, number>()
  const stack: string[] = []
  const open = new Set<string>()
  const visit = (node: string): number => {
    const mine = order.size
    order.set(node, mine)
    let low = mine
    stack.push(node)
    open.add(node)
    for (const next of graph.get(node) ?? []) {
      if (!order.has(next)) low = Math.min(low, visit(next))
      else if (open.has(next)) low = Math.min(low, lowest.get(next) ?? order.get(next) ?? low)
    }
    lowest.set(node, low)
    if (low === mine) {
      const component = stack.splice(stack.indexOf(node))
      for (const member of component) open.delete(member)
      components.push(component)
    }
    return low
  }
  for (const node of graph.keys()) if (!order.has(node)) visit(node)
  return components
}

/** Files that import one another. */
export interface Cycle {
  readonly files: readonly string[]
  /** The shortest way round; its first file stands at its end again. */
  readonly shortest: readonly string[]
}

/** Every group of files that import one another, types included. */
export function cyclesOf(graph: Graph): readonly Cycle[] {
  return componentsOf(graph).flatMap((files) => {
    const ways = files.flatMap((start) => shortestCycle(graph, start) ?? [])
    const [shortest] = ways.toSorted((one, other) => one.length - other.length)
    return shortest === undefined ? [] : [{ files, shortest }]
  })
}

/** The way from `start` back to it, breadth first. */
function shortestCycle(graph: Graph, start: string): readonly [readonly string[]] | undefined {
  const seen = new Set<string>()
  let ways: readonly (readonly string[])[] = [[start]]
  while (ways.length > 0) {
    const longer: (readonly string[])[] = []
    for (const way of ways) {
      for (const next of graph.get(way.at(-1) ?? '') ?? []) {
        if (next === start) return [[...way, start]]
        if (seen.has(next)) continue
        seen.add(next)
        longer.push([...way, next])
      }
    }
    ways = longer
  }
  return undefined
}

/** The longest chain of imports. Files that import one another count as one, and stand there as `{a, b}`. */
export function longestChain(graph: Graph): readonly string[] {
  const components = componentsOf(graph)
  const componentOf = new Map(components.flatMap((members, at) => members.map((member) => [member, at])))
  const chains: (readonly string[])[] = []
  for (const [at, members] of components.entries()) {
    let below: readonly string[] = []
    for (const member of members) {
      for (const next of graph.get(member) ?? []) {
        const reached = componentOf.get(next)
        const chain = reached === undefined || reached === at ? [] : (chains[reached] ?? [])
        if (chain.length > below.length) below = chain
      }
    }
    const label = members.length === 1 ? (members[0] ?? '') : `{${members.toSorted().join(', ')}}`
    chains.push([label, ...below])
  }
  return chains.reduce((longest, chain) => (chain.length > longest.length ? chain : longest), [])
}

/** The graph of the library itself, without the contract and the simulation that are published beside it. */
export function withoutTesting(graph: Graph): Graph {
  return new Map([...graph].filter(([name]) => roomOf(name) !== 'testing'))
}
