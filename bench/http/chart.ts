// Bars, as SVG: one group per library, one bar per scenario.

export interface Group {
  readonly title: string
  readonly ours: boolean
  readonly values: readonly number[]
}

export interface Panel {
  readonly title: string
  readonly groups: readonly Group[]
}

const WIDTH = 860
const LEFT = 300
const BAR = 11
const GAP = 12
const OURS = ['#0b6e4f', '#3fa37f', '#8fd0b5']
const THEIRS = ['#6b7280', '#9ca3af', '#d1d5db']

/** Panels one below the other, with one scale for all. */
export function barChart(title: string, legend: readonly string[], panels: readonly Panel[]): string {
  const most = Math.max(...panels.flatMap(({ groups }) => groups.flatMap(({ values }) => values)))
  const scale = (WIDTH - LEFT - 60) / most
  const parts: string[] = [`<text x="16" y="26" font-size="16" font-weight="600">${title}</text>`]
  legend.forEach((entry, index) => {
    const x = 16 + index * 170
    parts.push(`<rect x="${x}" y="40" width="12" height="12" fill="${THEIRS[index] ?? '#000'}"/>`)
    parts.push(`<rect x="${x + 14}" y="40" width="12" height="12" fill="${OURS[index] ?? '#000'}"/>`)
    parts.push(`<text x="${x + 32}" y="50">${entry}</text>`)
  })
  let y = 78
  for (const { title: name, groups } of panels) {
    parts.push(`<text x="16" y="${y}" font-weight="600">${name}</text>`)
    y += 10
    for (const { title: library, ours, values } of groups) {
      const middle = y + (values.length * BAR) / 2 + 4
      parts.push(`<text x="${LEFT - 8}" y="${middle}" text-anchor="end">${library}</text>`)
      values.forEach((value, index) => {
        const width = Math.max(1, value * scale).toFixed(1)
        const top = y + index * BAR
        const color = (ours ? OURS : THEIRS)[index] ?? '#000'
        parts.push(`<rect x="${LEFT}" y="${top}" width="${width}" height="${BAR - 1}" fill="${color}"/>`)
        parts.push(
          `<text x="${LEFT + Number(width) + 4}" y="${top + 9}" font-size="10">${value.toFixed(0)}</text>`,
        )
      })
      y += values.length * BAR + GAP
    }
    y += 18
  }
  const size = `width="${WIDTH}" height="${y}" viewBox="0 0 ${WIDTH} ${y}"`
  const style = 'font-family="system-ui, sans-serif" font-size="12" fill="#111827"'
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} ${style}><rect width="100%" height="100%" fill="#fff"/>\n${parts.join('\n')}\n</svg>`
}
