import test from 'ava'
import { openShop, type Shop } from '../examples/shop.ts'
import { Visitor } from '../examples/visitor.ts'
import { engines } from './engine.ts'

/** The answers to a crowd of requests in one session until the shop accepted no more. */
interface Told {
  /** How many visits the shop has acknowledged, and the highest number that it has shown. */
  readonly acknowledged: number
  readonly highest: number
  readonly refused: number
}

/** Many tabs of one visitor reload the front page, which counts, until the shop is closed. */
async function crowd(ada: Visitor, tabs: number, onAnswer: () => void): Promise<Told> {
  let [acknowledged, highest, refused] = [0, 0, 0]
  async function reload(): Promise<void> {
    for (;;) {
      try {
        const { status, html } = await ada.see('/')
        if (status === 200) {
          acknowledged += 1
          highest = Math.max(highest, visitsOn(html))
        } else refused += 1
      } catch {
        return // the server has closed
      }
      onAnswer()
    }
  }
  await Promise.all(Array.from({ length: tabs }, reload))
  return { acknowledged, highest, refused }
}

function visitsOn(html: string): number {
  return Number(/visit number <strong>(\d+)</.exec(html)?.[1] ?? 1)
}

for (const provider of ['file', 'sqlite', 'redis']) {
  test(`F21: ${provider}: at SIGTERM the commits under way finish, and every acknowledged one is there afterwards`, async (t) => {
    const start = engines[provider]
    if (start === undefined) throw new Error(`no engine ${provider}`)
    const { config, stop } = await start()
    t.teardown(stop)
    const env = { SESSION_PROVIDER: provider, SESSION_PROVIDER_CONFIG: config }
    const shop = await openShop(t, { env })
    const ada = new Visitor(shop.url)
    await ada.see('/')
    let answers = 0
    let ending: ReturnType<Shop['end']> | undefined
    const { acknowledged, highest, refused } = await crowd(ada, 30, () => {
      answers += 1
      if (answers === 100) ending = shop.end('SIGTERM')
    })
    t.deepEqual(await ending, { code: 0, signal: null })
    t.is(refused, 0)
    t.true(acknowledged >= 100)
    const again = await openShop(t, { env })
    const after = visitsOn((await ada.at(again.url).see('/')).html) - 1
    t.true(after >= highest)
    // The first visit was before the crowd. At most one visit per tab was committed without an answer, since its connection was closed.
    t.true(after >= acknowledged + 1, `${after} of ${acknowledged + 1}`)
    t.true(after <= acknowledged + 1 + 30)
  })
}
