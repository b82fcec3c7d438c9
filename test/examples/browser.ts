import { readFileSync } from 'node:fs'
import { chromium, type Browser, type Page } from 'playwright-core'
import { locate, tools } from '../servers/packages.ts'

/** Starts a headless Chromium, Debian's; it sends no requests of its own. */
export async function openBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: await locate(tools.chromium),
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
      '--disable-quic',
    ],
  })
}

const faults = readFileSync(new URL('faults.js', import.meta.url), 'utf8')

/** Looks a page over: language, landmarks, headings, names of fields, buttons and links, contrast, width. */
export async function faultsOf(page: Page): Promise<readonly string[]> {
  return page.evaluate<string[]>(faults)
}
