// The table of docs/concurrency.md, row by row, under each isolation.
import test from 'ava'
import { SessionManager, type Isolation, type KeyOptions, type Session } from '../../src/index.ts'
import { SessionError } from '../../src/errors.ts'

interface Row {
  readonly title: string
  /** What this request does. The session holds `k: 1` and `other: 0`. */
  readonly mine: (session: Session) => unknown
  /** What another request does, and commits, in between. */
  readonly theirs: (session: Session) => unknown
  /** What is stored under `k` after the commit of this request: a value, nothing, or 409 with theirs in place. */
  readonly snapshot: unknown
  readonly serializable?: unknown
  readonly lastWins?: unknown
}

const REFUSED = Symbol('409')
const change = (session: Session): unknown => session.set('k', 2)
const remove = (session: Session): unknown => session.delete('k')
const addOne = (value = 0): number => value + 1

const rows: readonly Row[] = [
  { title: 'changed another key', mine: () => {}, theirs: change, snapshot: 2 },
  {
    title: 'read a key and changed another one',
    mine: (session) => session.get('k'),
    theirs: change,
    snapshot: 2,
    serializable: REFUSED,
  },
  {
    title: 'asked whether a key is there',
    mine: (session) => session.has('k'),
    theirs: remove,
    snapshot: undefined,
    serializable: REFUSED,
  },
  {
    title: 'listed the keys',
    mine: (session) => [...session.keys()],
    theirs: (session) => session.set('new', 1),
    snapshot: 1,
    serializable: REFUSED,
  },
  { title: 'updated a key', mine: (session) => session.update('k', addOne), theirs: change, snapshot: 3 },
  {
    title: 'updated a key that is deleted meanwhile',
    mine: (session) => session.update('k', addOne),
    theirs: remove,
    snapshot: 1,
  },
  {
    title: 'updated a key in vain that appears meanwhile',
    mine: (session) =>
      session.update('new', (value?: number) => (value === undefined ? undefined : value + 1)),
    theirs: (session) => session.set('new', 5).set('k', 6),
    snapshot: 6,
  },
  {
    title: 'updated a key by a function that throws on the newer value',
    mine: (session) =>
      session.update('k', (value: number) => {
        if (value === 2) throw new Error('two')
        return value
      }),
    theirs: change,
    snapshot: REFUSED,
  },
  {
    title: 'set a key without reading it',
    mine: (session) => session.set('k', 9),
    theirs: change,
    snapshot: 9,
  },
  {
    title: 'set a key without reading it that is deleted meanwhile',
    mine: (session) => session.set('k', 9),
    theirs: remove,
    snapshot: 9,
  },
  {
    title: 'read a key and set it',
    mine: (session) => session.set('k', session.get('k') + 8),
    theirs: change,
    snapshot: REFUSED,
    lastWins: 9,
  },
  {
    title: 'read a key and set it to what it was',
    mine: (session) => session.set('k', session.get('k')),
    theirs: change,
    snapshot: 2,
    serializable: REFUSED,
  },
  {
    title: 'found a key missing and set it',
    mine: (session) => session.set('new', session.get('new') ?? 'mine').set('k', 7),
    theirs: (session) => session.set('new', 'theirs'),
    snapshot: REFUSED,
    lastWins: 7,
  },
  {
    title: 'read a key, deleted it and set it',
    mine: (session) => {
      session.get('k')
      session.delete('k')
      session.set('k', 9)
    },
    theirs: change,
    snapshot: REFUSED,
    lastWins: 9,
  },
  {
    title: 'read a key, cleared the session and set it',
    mine: (session) => {
      session.get('k')
      session.clear()
      session.set('k', 9)
    },
    theirs: change,
    snapshot: REFUSED,
    lastWins: 9,
  },
  {
    title: 'read a key and set it, and it is deleted meanwhile',
    mine: (session) => session.set('k', session.get('k') + 8),
    theirs: remove,
    snapshot: REFUSED,
    lastWins: 9,
  },
  {
    title: 'read a key and deleted it',
    mine: (session) => session.get('k') && session.delete('k'),
    theirs: change,
    snapshot: REFUSED,
    lastWins: undefined,
  },
  {
    title: 'read a key and deleted it, and so did the other',
    mine: (session) => session.get('k') && session.delete('k'),
    theirs: remove,
    snapshot: undefined,
    serializable: REFUSED,
  },
  { title: 'deleted a key without reading it', mine: remove, theirs: change, snapshot: undefined },
  { title: 'cleared the session', mine: (session) => session.clear(), theirs: change, snapshot: undefined },
  {
    title: 'taken a value that is replaced',
    mine: (session) => session.take('k'),
    theirs: change,
    snapshot: 2,
    serializable: REFUSED,
  },
  {
    title: 'taken a value and set another one',
    mine: (session) => session.take('k') && session.set('k', 9),
    theirs: change,
    snapshot: 9,
    serializable: REFUSED,
  },
  {
    title: 'taken a value that the other took too',
    mine: (session) => session.take('k'),
    theirs: (session) => session.take('k'),
    snapshot: undefined,
    serializable: REFUSED,
  },
]

async function outcomeOf(
  row: Row,
  isolation: Isolation,
  keys: Record<string, KeyOptions> = {},
): Promise<unknown> {
  const manager = new SessionManager({ isolation, keys })
  const begun = manager.begin().set('k', 1).set('other', 0)
  await begun.commit()
  const [mine, theirs] = await Promise.all([manager.open(begun.id), manager.open(begun.id)])
  mine.set('other', 'mine')
  row.mine(mine)
  row.theirs(theirs)
  await theirs.commit()
  const before = Object.fromEntries(await manager.open(begun.id))
  const outcome = await mine.commit().catch((error: unknown) => error)
  const after = await manager.open(begun.id)
  if (outcome === 'ok') return after.get('k')
  if (!(outcome instanceof SessionError) || outcome.code !== 'ERR_SESSION_CONFLICT') return outcome
  // Nothing of a refused commit is stored.
  return JSON.stringify(Object.fromEntries(after)) === JSON.stringify(before) ? REFUSED : 'partly stored'
}

for (const row of rows) {
  const { title, snapshot, serializable = snapshot, lastWins = snapshot } = row
  test(`this request has ${title}: each isolation does as the table says`, async (t) => {
    t.is(await outcomeOf(row, 'snapshot'), snapshot, 'snapshot')
    t.is(await outcomeOf(row, 'serializable'), serializable, 'serializable')
    const loose = 'lastWins' in row ? row.lastWins : lastWins
    t.is(await outcomeOf(row, 'last-wins'), loose, 'last-wins')
    const byKey = { k: { isolation: 'last-wins' }, new: { isolation: 'last-wins' } } as const
    t.is(await outcomeOf(row, 'snapshot', byKey), loose, 'last-wins for these keys')
  })
}

/** The session, with a `get` that peeks. */
function peeking(session: Session): Session {
  return new Proxy(session, {
    get: (target, property) => Reflect.get(target, property === 'get' ? 'peek' : property) as unknown,
  })
}

for (const row of rows.filter(({ title }) => /read a key|found a key/.test(title)))
  test(`this request has ${row.title}, by peek: each isolation does as after a get`, async (t) => {
    const peeked: Row = { ...row, mine: (session) => row.mine(peeking(session)) }
    for (const isolation of ['snapshot', 'serializable', 'last-wins'] as const)
      t.is(await outcomeOf(peeked, isolation), await outcomeOf(row, isolation), isolation)
  })

test('two requests that both have the value of a key merged by a function keep both, numbers too', async (t) => {
  const sum = (base: unknown, mine: unknown, theirs: unknown): number =>
    Number(mine) + Number(theirs) - Number(base)
  const manager = new SessionManager({ keys: { n: { merge: sum } } })
  const begun = manager.begin().set('n', 1)
  await begun.commit()
  const sessions = await Promise.all([1, 2, 3].map(async () => manager.open(begun.id)))
  for (const session of sessions) session.set('n', session.get('n') + 1)
  for (const session of sessions) t.is(await session.commit(), 'ok')
  t.is((await manager.open(begun.id)).get('n'), 4)
})

test('a merge that throws, and one whose result does not fit, refuse the commit and leave the values as they were', async (t) => {
  const fail = (): never => {
    throw new Error('no')
  }
  const manager = new SessionManager({ keys: { list: { merge: 'items' }, n: { merge: fail } } })
  const begun = manager.begin().set('list', ['a']).set('n', 1)
  await begun.commit()
  const [mine, theirs] = await Promise.all([manager.open(begun.id), manager.open(begun.id)])
  for (const [session, item] of [
    [mine, 'mine'],
    [theirs, 'theirs'],
  ] as const) {
    session.get('list').push(item)
    session.set('n', session.get('n') + 1)
  }
  await theirs.commit()
  const error = await t.throwsAsync(mine.commit(), { code: 'ERR_SESSION_CONFLICT' })
  t.like(error?.cause, { message: 'no' })
  t.deepEqual(mine.get('list'), ['a', 'mine'], 'the merge of the other key is taken back')
})

test('a value read before a commit that brought in a newer one cannot be set unseen afterwards', async (t) => {
  const manager = new SessionManager()
  const begun = manager.begin().set('n', 1)
  await begun.commit()
  const [mine, theirs] = await Promise.all([manager.open(begun.id), manager.open(begun.id)])
  const seen: number = mine.get('n')
  t.is(mine.get('absent'), undefined)
  theirs.set('n', 5).set('absent', 'no more')
  await theirs.commit()
  mine.set('other', true)
  t.is(await mine.commit(), 'ok')
  mine.set('n', seen + 1)
  await t.throwsAsync(mine.commit(), { code: 'ERR_SESSION_CONFLICT', message: /^n: .*earlier commit/ })
  const again = await manager.open(begun.id)
  t.is(again.get('n'), 5)

  const third = await manager.open(begun.id)
  third.set('m', 1)
  await third.commit()
  third.set('n', third.get('n') + 1)
  t.is(await third.commit(), 'ok')
})
