// Runs inside a page: what it lacks for people who do not see it, or see it badly, one sentence per fault.
;(() => {
  const faults = []
  const expect = (holds, fault) => {
    if (!holds) faults.push(fault)
  }
  const all = (selector) => [...document.querySelectorAll(selector)]

  expect(document.documentElement.lang === 'en', 'the document has no language')
  expect(document.title !== '', 'the document has no title')
  for (const landmark of ['h1', 'main', 'header', 'footer']) {
    expect(all(landmark).length === 1, `there is not exactly one ${landmark}`)
  }
  const levels = all('h1, h2, h3').map(({ tagName }) => Number(tagName.slice(1)))
  expect(
    levels.every((level, index) => level <= (levels[index - 1] ?? 0) + 1),
    'a level of headings is left out',
  )

  const ids = all('[id]').map(({ id }) => id)
  expect(new Set(ids).size === ids.length, 'an id stands twice')
  for (const referring of all('[aria-describedby], [aria-labelledby]')) {
    const target = referring.getAttribute('aria-describedby') ?? referring.getAttribute('aria-labelledby')
    expect(ids.includes(target), `nothing has the id ${target}`)
  }
  for (const input of all('input:not([type=hidden])')) {
    const named = [...input.labels].some((label) => label.textContent.trim() !== '')
    expect(named, `the field ${input.name} has no label`)
  }
  for (const control of all('button, a')) {
    expect(control.textContent.trim() !== '', 'a button or link has no name')
  }
  for (const picture of all('svg, img')) {
    expect(picture.getAttribute('aria-hidden') === 'true', 'a picture is not hidden, and has no text')
  }
  for (const cell of all('th')) expect(cell.hasAttribute('scope'), 'a header cell has no scope')

  // WCAG 2: the relative luminance of a colour, and the ratio of a text's to that of what is behind it.
  const parse = (color) => color.match(/[\d.]+/g).map(Number)
  const luminance = (color) => {
    const [red, green, blue] = parse(color).map((part) => {
      const share = part / 255
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }
  const behind = (element) => {
    if (element === null) return 'rgb(255, 255, 255)'
    const color = getComputedStyle(element).backgroundColor
    return parse(color)[3] === 0 ? behind(element.parentElement) : color
  }
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].toSorted((a, b) => a - b)
    return (light + 0.05) / (dark + 0.05)
  }
  let texts = 0
  for (const element of all('body *')) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== '')
    if (!own) continue
    texts += 1
    const ratio = contrast(getComputedStyle(element).color, behind(element))
    const text = element.textContent.trim().slice(0, 20)
    expect(ratio >= 4.5, `'${text}' has a contrast of ${ratio.toFixed(2)}, less than 4.5`)
  }
  expect(texts > 3, 'hardly any text was looked at')
  for (const field of all('input:not([type=hidden])')) {
    const ratio = contrast(getComputedStyle(field).borderTopColor, behind(field.parentElement))
    expect(ratio >= 3, `the border of ${field.name} has a contrast of ${ratio.toFixed(2)}, less than 3`)
  }
  expect(document.documentElement.scrollWidth <= window.innerWidth, 'the page is wider than the window')
  return faults
})()
