// docs/performance.md, of which each bench writes its own part.
import { readFile, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'

const PAGE = new URL('../docs/performance.md', import.meta.url)

/** Puts `text` in the place of what the bench wrote there before. */
export async function writePart(name: string, text: string): Promise<void> {
  const page = await readFile(PAGE, 'utf8')
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
  const [from, to] = [page.indexOf(begin), page.indexOf(end)]
  if (from === -1 || to < from) throw new Error(`docs/performance.md has no place for '${name}'`)
  await writeFile(PAGE, `${page.slice(0, from + begin.length)}\n\n${text.trim()}\n\n${page.slice(to)}`)
}

export async function writeChart(name: string, svg: string): Promise<void> {
  await writeFile(new URL(`../docs/${name}`, import.meta.url), `${svg}\n`)
}

/** The columns of a row are texts; the first one is the row's name. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const ruler = head.map((_, index) => (index === 0 ? '---' : '---:'))
  return [line(head), line(ruler), ...rows.map(line)].join('\n')
}

export function machine(): string {
  const [cpu] = cpus()
  return `Node ${process.versions.node}, ${cpus().length} cores of ${cpu?.model.trim() ?? 'an unknown kind'}`
}
