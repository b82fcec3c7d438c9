// Curves, as SVG: panels side by side, both axes logarithmic.

export interface Axis {
  readonly title: string
  readonly xs: readonly number[]
  readonly lines: readonly { readonly name: string; readonly ys: readonly number[] }[]
}

const WIDTH = 400
const HEIGHT = 260
const PAD = { left: 52, right: 24, top: 34, bottom: 52 } as const
const COLORS = ['#9ca3af', '#3fa37f', '#0b6e4f']

export function lineChart(title: string, axes: readonly Axis[]): string {
  const all = axes.flatMap(({ lines }) => lines.flatMap(({ ys }) => ys))
  const low = 10 ** Math.floor(Math.log10(Math.min(...all)))
  const high = 10 ** Math.ceil(Math.log10(Math.max(...all)))
  const rows = Math.ceil(axes.length / 2)
  const size = `width="${WIDTH * 2}" height="${HEIGHT * rows + 40}" viewBox="0 0 ${WIDTH * 2} ${HEIGHT * rows + 40}"`
  const panels = axes.map((axis, index) => {
    const [x, y] = [(index % 2) * WIDTH, Math.floor(index / 2) * HEIGHT + 40]
    return `<g transform="translate(${x},${y})">\n${panel(axis, low, high).join('\n')}\n</g>`
  })
  const style = 'font-family="system-ui, sans-serif" font-size="11" fill="#111827"'
  const heading = `<text x="16" y="26" font-size="16" font-weight="600">${title}</text>`
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} ${style}><rect width="100%" height="100%" fill="#fff"/>\n${heading}\n${panels.join('\n')}\n</svg>`
}

function panel({ title, xs, lines }: Axis, low: number, high: number): string[] {
  const across = scale(Math.min(...xs), Math.max(...xs), PAD.left, WIDTH - PAD.right)
  const up = scale(low, high, HEIGHT - PAD.bottom, PAD.top)
  const parts = [`<text x="${PAD.left}" y="20" font-weight="600">${title}</text>`]
  for (let tick = low; tick <= high; tick *= 10) {
    const y = up(tick).toFixed(1)
    parts.push(`<line x1="${PAD.left}" x2="${WIDTH - PAD.right}" y1="${y}" y2="${y}" stroke="#e5e7eb"/>`)
    parts.push(`<text x="${PAD.left - 6}" y="${y}" dy="4" text-anchor="end">${tick}</text>`)
  }
  for (const x of xs) {
    parts.push(
      `<text x="${across(x).toFixed(1)}" y="${HEIGHT - PAD.bottom + 16}" text-anchor="middle">${short(x)}</text>`,
    )
  }
  lines.forEach(({ name, ys }, index) => {
    const color = COLORS[lines.length === 1 ? 2 : index] ?? '#000'
    const points = ys.map((y, at) => `${across(xs[at] ?? 1).toFixed(1)},${up(y).toFixed(1)}`).join(' ')
    parts.push(`<polyline points="${points}" fill="none" stroke="${color}" stroke-width="2"/>`)
    parts.push(
      `<text x="${PAD.left + index * 100}" y="${HEIGHT - PAD.bottom + 36}" fill="${color}">${name}</text>`,
    )
  })
  return parts
}

function scale(from: number, to: number, start: number, end: number): (value: number) => number {
  const [low, high] = [Math.log10(from), Math.log10(to)]
  return (value) => start + ((Math.log10(value) - low) / (high - low)) * (end - start)
}

function short(x: number): string {
  if (x >= 1e6) return `${x / 1e6}M`
  return x >= 1e4 ? `${x / 1e3}k` : String(x)
}
