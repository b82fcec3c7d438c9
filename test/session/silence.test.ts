// "No silence": what a program does to a session by mistake throws one sentence that says what to write instead.
import assert from 'node:assert'
import { Session as Inspector } from 'node:inspector'
import { inspect, isDeepStrictEqual } from 'node:util'
import { runInThisContext } from 'node:vm'
import test, { type ExecutionContext } from 'ava'
import { Session, SessionError, SessionManager, type SessionOptions } from '../../src/index.ts'
import { quote, unknownProperty } from '../../src/session/misuse.ts'
import { AS_OBJECT, withoutHint } from '../support/misuse.ts'
import { commitRequest, stateOf } from '../../src/session/session.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { HeldStore } from '../support/held-store.ts'

type Any = Session & Record<PropertyKey, unknown>

function open(options: SessionOptions = {}): Any {
  const manager = new SessionManager({ store: new MemoryStore(), ...options })
  return manager.begin({ expression: 'ctx.session' }) as Any // for properties that it does not have
}

/** A program in plain JavaScript and sloppy mode, where a refused assignment or deletion is silent unless something throws. */
function sloppy(source: string): (session: Session) => unknown {
  return runInThisContext(`(session) => (${source})`) as (session: Session) => unknown
}

function sentence(t: ExecutionContext, act: () => unknown): string {
  const error = t.throws(act, { instanceOf: SessionError })
  t.is(error.code, 'ERR_SESSION_STATE')
  return withoutHint(error.message)
}

const read = (name: string): string =>
  `ctx.session has no property '${name}': read it with ctx.session.get('${name}'), or change it with ctx.session.update('${name}', …)`
const ask = "ctx.session has no property 'user': ask for the key with ctx.session.has('user')"
const store = "ctx.session has no property 'user': store the value with ctx.session.set('user', …)"
const near = (name: string, member: string): string =>
  `ctx.session has no property '${name}': write ctx.session.${member}, or for a key of that name: read it with ctx.session.get('${name}'), or change it with ctx.session.update('${name}', …)`
const instead = (name: string, text: string): string => `ctx.session has no property '${name}': ${text}`
const commit = 'changes are stored before the response is sent, or at once by await ctx.session.commit()'

const mistakes: Readonly<Record<string, string>> = {
  'session.user': read('user'),
  'session["user"]': read('user'),
  'session.user?.name': read('user'),
  'session.user ?? "guest"': read('user'),
  'session.views++': read('views'),
  'session.views += 1': read('views'),
  'session.cart.push(1)': read('cart'),
  '(({ user }) => user)(session)': read('user'),
  'Reflect.get(session, "user")': read('user'),
  'session.user = "ann"': store,
  'Object.assign(session, { user: "ann" })': store,
  'Reflect.set(session, "user", "ann")': store,
  'Object.defineProperty(session, "user", { value: "ann" })': store,
  'Object.create(session).user = "ann"': store,
  'delete session.user': "ctx.session has no property 'user': delete the key with ctx.session.delete('user')",
  'Reflect.deleteProperty(session, "user")':
    "ctx.session has no property 'user': delete the key with ctx.session.delete('user')",
  '"user" in session': ask,
  'Object.hasOwn(session, "user")': ask,
  'session.hasOwnProperty("user")': ask,
  'session.regenrate()': near('regenrate', 'regenerate'),
  'session.destory()': near('destory', 'destroy'),
  'session.isnew': near('isnew', 'isNew'),
  'session.Get("user")': near('Get', 'get'),
  'session.createAt': near('createAt', 'createdAt'),
  'session.save(() => {})': instead('save', commit),
  'session.manuallyCommit()': instead('manuallyCommit', commit),
  'session.reload(() => {})': instead(
    'reload',
    'each request opens the stored session anew; a job calls manager.open() again',
  ),
  'session.touch()': instead(
    'touch',
    'a request that opens the session extends it, unless the option `passive` says otherwise',
  ),
  'session.cookie.maxAge = 1': instead(
    'cookie',
    'the attributes of the cookie are the option `cookie`, and the life of this session is ctx.session.maxAge',
  ),
  'session.length': instead('length', 'write ctx.session.size'),
  'session.populated': instead('populated', 'write ctx.session.size > 0'),
  'session._expire': instead('_expire', 'write ctx.session.expiresAt'),
  'session._maxAge': instead('_maxAge', 'write ctx.session.maxAge'),
  'session.originalMaxAge': instead('originalMaxAge', 'write ctx.session.maxAge'),
  'session.resetMaxAge()': instead('resetMaxAge', 'write ctx.session.maxAge = undefined'),
  'session.externalKey': instead('externalKey', 'write ctx.session.id'),
  'session.sessionID': instead('sessionID', 'write ctx.session.id'),
  'session.id = "x"':
    "ctx.session.id is a property of every session and cannot be assigned: get a new ID with ctx.session.regenerate(), or store a value under that key with ctx.session.set('id', …)",
  'session.isNew = false':
    "ctx.session.isNew is a property of every session and cannot be assigned: store a value under that key with ctx.session.set('isNew', …)",
  'session.keys = ["a"]':
    "ctx.session.keys is a method of every session and cannot be assigned: store a value under that key with ctx.session.set('keys', …)",
  'delete session.size':
    "ctx.session.size is a property of every session: delete a key of that name with ctx.session.delete('size')",
  'delete session.maxAge':
    'ctx.session.maxAge is a property of every session: go back to the settings with ctx.session.maxAge = undefined',
  'session.regenerate(() => {})':
    'ctx.session.regenerate() takes no callback: what the callback does can follow ctx.session.regenerate() at once, or await ctx.session.commit() where the new ID must be stored first',
  'session.destroy(() => {})':
    'ctx.session.destroy() takes no callback: write await ctx.session.destroy(), and what the callback does after it',
  'session.commit(() => {})':
    'ctx.session.commit() takes no callback: write await ctx.session.commit(), and what the callback does after it',
}

for (const [program, message] of Object.entries(mistakes)) {
  test(`${program} throws a sentence that says what to write instead, in sloppy mode and in strict mode`, (t) => {
    const session = open()
    t.is(
      sentence(t, () => sloppy(program)(session)),
      message,
    )
    t.is(
      sentence(t, () => sloppy(`(() => { 'use strict'; return ${program} })()`)(session)),
      message,
    )
    t.is(session.size, 0)
  })
}

test('a session of the manager is called session in these sentences', (t) => {
  const session = new SessionManager().begin()
  t.is(
    sentence(t, () => sloppy('session.user')(session)),
    "session has no property 'user': read it with session.get('user'), or change it with session.update('user', …)",
  )
})

test('maxAge is the one property that can be assigned, and its value is checked as before', async (t) => {
  const session = open({ idleTimeout: 1_000, absoluteTimeout: 9_000 })
  t.is(session.maxAge, undefined)
  session.maxAge = 5_000
  t.is(session.maxAge, 5_000)
  t.throws(() => sloppy('session.maxAge = 10000')(session), { code: 'ERR_SESSION_OPTIONS' })
  t.throws(() => sloppy('session.maxAge = "1d"')(session), { code: 'ERR_SESSION_OPTIONS' })
  t.is(session.maxAge, 5_000)
})

test('a property name in a sentence is short and cannot forge a line of a log', (t) => {
  t.is(quote("it's"), String.raw`'it\'s'`)
  t.is(quote('a\\b'), String.raw`'a\\b'`)
  t.is(quote('a\n\u001B[31m\u2028\u202E\uD800'), String.raw`'a\u{a}\u{1b}[31m\u{2028}\u{202e}\u{d800}'`)
  t.is(quote('größe 購物車 🛒'), "'größe 購物車 🛒'")
  t.is(quote('x'.repeat(40)), `'${'x'.repeat(40)}'`)
  t.is(quote('x'.repeat(41)), `'${'x'.repeat(40)}…'`)
  t.is(quote(Symbol('x')), 'symbol')
  const session = open()
  const long = 'x'.repeat(1_000_000)
  t.true(sentence(t, () => session[long]).length < 300)
})

test('a member is suggested for one wrong letter in four and not for other names', (t) => {
  const members = new Map('get set size claim regenerate'.split(' ').map((name) => [name, 'method'] as const))
  const suggestion = (name: string): string | undefined =>
    /write s\.(\w+), or for/.exec(unknownProperty('s', name, 'read', members).message)?.[1]
  for (const [name, member] of Object.entries({
    regenerated: 'regenerate',
    regeneraet: 'regenerate',
    regenrte: 'regenerate',
    Regenerate: 'regenerate',
    clam: 'claim',
    gets: 'get',
    sizes: 'size',
    SET: 'set',
    user: undefined,
    cart: undefined,
    jet: undefined,
    generation: undefined,
    claims_made: undefined,
    '': undefined,
  }))
    t.is(suggestion(name), member, name)
})

test('methods work when they are detached, and set returns the session', async (t) => {
  const session = open()
  const { get, set, update, has, take, keys, entries, clear, claim, commit: store, destroy } = session
  t.is(set('user', 'ann'), session)
  t.is(session.set('a', 1).set('b', 2), session)
  t.is(get('user'), 'ann')
  t.is(
    update('b', (n) => n + 1),
    3,
  )
  t.true(has('a'))
  t.is(take('a'), 1)
  t.deepEqual([...keys()], ['user', 'b'])
  t.deepEqual([...entries()], [...session])
  t.is(await store(), 'ok')
  t.is(await claim('user'), 'ann')
  clear()
  t.is(session.size, 0)
  await Promise.resolve('a value').then(sloppy('(value) => session.commit(value)')(session) as () => unknown)
  await destroy()
  t.is(['ann', 'bob'].map((name) => set('user', name)).at(-1), session)
})

test('a session cannot be stored in a session', (t) => {
  const session = open()
  t.throws(() => session.set('self', session), { code: 'ERR_SESSION_VALUE' })
  t.throws(() => session.set('self', { deep: [session] }), { code: 'ERR_SESSION_VALUE' })
})

test('a session is an instance of Session, and the state behind it is found for sessions only', (t) => {
  const session = open()
  t.true(session instanceof Session)
  t.is(session.constructor, Session)
  t.is(stateOf(session).draft, stateOf(session).draft)
  // As plain JavaScript may pass it.
  for (const other of [{}, new Map(), Session.prototype] as unknown[] as Session[])
    t.throws(() => stateOf(other), { code: 'ERR_SESSION_STATE' })
})

test('the symbols of a session can be set, since tools mark objects so, and are stored nowhere', async (t) => {
  const session = open()
  const mark = Symbol('mark')
  t.is(session[mark], undefined)
  t.false(mark in session)
  session[mark] = 1
  t.is(session[mark], 1)
  t.true(Reflect.deleteProperty(session, mark))
  t.is(session[mark], undefined)
  t.true(Reflect.defineProperty(session, mark, { value: 2, configurable: true }))
  t.is(Object.getOwnPropertyDescriptor(session, mark)?.value, 2)
  t.is(await session.commit(), 'ok')
  t.is(stateOf(session).status, 'new')
})

/**
 * What tools read of an object that they were handed, found by handing a recording Proxy to all matchers of expect 30 (Jest),
 * @vitest/expect 5, chai 6, AVA 7 and their printers, and to Node's own functions.
 */
const probes: readonly (readonly [name: string, ...uses: ('get' | 'in' | 'own')[]])[] = [
  ['then', 'get', 'in'],
  ['constructor', 'get', 'in'],
  ['toJSON', 'get', 'in'],
  ['toString', 'get'],
  ['valueOf', 'get'],
  ['hasOwnProperty', 'get'],
  ['inspect', 'get', 'in'],
  ['stack', 'in'],
  ['asymmetricMatch', 'get', 'in'],
  ['$$typeof', 'get'],
  ['nodeType', 'get', 'in'],
  ['tagName', 'get'],
  ['_isMockFunction', 'get'],
  ['__esModule', 'get'],
  ['@@__IMMUTABLE_ITERABLE__@@', 'get'],
  ['@@__IMMUTABLE_RECORD__@@', 'get'],
  ['@@__IMMUTABLE_KEYED__@@', 'get'],
  ['isNew', 'get', 'in', 'own'],
  ['length', 'own'],
]

test('what AVA, Jest, Vitest, chai and Node look for in any object does not throw', (t) => {
  const session = open()
  for (const [name, ...uses] of probes) {
    for (const use of uses) {
      const act = {
        get: () => session[name],
        in: () => name in session,
        own: () => Object.hasOwn(session, name),
      }[use]
      t.notThrows(act, `${use} ${name}`)
    }
  }
  const symbols = [
    ...['iterator', 'asyncIterator', 'toStringTag', 'toPrimitive', 'isConcatSpreadable', 'species'].map(
      (name) => Reflect.get(Symbol, name) as symbol, // those of the language
    ),
    inspect.custom,
    Symbol.for('chai/inspect'),
    Symbol.for('@jest/serializableProperties'),
  ]
  for (const symbol of symbols) {
    t.notThrows(() => session[symbol], String(symbol))
    t.notThrows(() => symbol in session, String(symbol))
  }
})

test('util.inspect, JSON, await, assert and the conversions to text see a session as before', async (t) => {
  const session = open()
  session.set('user', 'ann')
  t.is(inspect(session), 'Session {}')
  t.is(
    inspect({ a: [session] }, { depth: 9, getters: true, showHidden: true }),
    '{ a: [ Session {}, [length]: 1 ] }',
  )
  t.regex(inspect(session, { showProxy: true }), /^Proxy/)
  t.is(JSON.stringify({ session }), '{"session":{"isNew":true}}')
  t.is(await Promise.resolve(session), session)
  t.is(await (async () => session)(), session)
  t.is(sloppy('`${session}` + session')(session), '[object Object][object Object]')
  t.deepEqual(Object.keys(session), [])
  t.deepEqual(sloppy('({ ...session })')(session), {})
  assert.deepEqual(session, session)
  assert.throws(() => assert.deepEqual(session, { user: 'ann' }), assert.AssertionError)
  assert.throws(() => assert.deepStrictEqual({ a: session }, { a: {} }), assert.AssertionError)
  t.false(isDeepStrictEqual(session, {}))
  t.true(isDeepStrictEqual([session], [session]))
  assert.throws(() => structuredClone(session), { name: 'DataCloneError' }) // not an Error for ava
  t.deepEqual(new Map(session), new Map([['user', 'ann']]))
  t.is(Object.freeze(session), session)
  t.is(session.get('user'), 'ann')
})

// Serial, so that no other test runs code of the session meanwhile.
test.serial("a debugger's preview runs no code of the session", async (t) => {
  const session = open()
  const inspector = new Inspector()
  inspector.connect()
  const post = async <T>(method: string, params: object = {}): Promise<T> =>
    new Promise((resolve, reject) => {
      inspector.post(method, params, (error, result) =>
        error === null ? resolve(result as T) : reject(error),
      ) // by the protocol
    })
  Object.assign(globalThis, { silenceTest: session })
  try {
    await post('Profiler.enable')
    await post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
    const called = async (): Promise<string[]> => {
      const { result: scripts } = await post<{
        result: { url: string; functions: { functionName: string; ranges: { count: number }[] }[] }[]
      }>('Profiler.takePreciseCoverage')
      const functions = scripts
        .filter(({ url }) => url.includes('/session/session.'))
        .flatMap((script) => script.functions)
      return functions
        .filter(({ ranges }) => ranges.some(({ count }) => count > 0))
        .map((each) => each.functionName)
    }
    await called()
    const { result, exceptionDetails } = await post<{
      result: { objectId: string; subtype: string; preview: object }
      exceptionDetails?: object
    }>('Runtime.evaluate', { expression: 'globalThis.silenceTest', generatePreview: true })
    t.is(exceptionDetails, undefined)
    t.is(result.subtype, 'proxy')
    t.truthy(result.preview)
    const { objectId } = result
    for (const accessorPropertiesOnly of [false, true]) {
      const properties = await post<{ exceptionDetails?: object }>('Runtime.getProperties', {
        objectId,
        ownProperties: !accessorPropertiesOnly,
        accessorPropertiesOnly,
        generatePreview: true,
      })
      t.is(properties.exceptionDetails, undefined)
    }
    t.deepEqual(await called(), [])
    t.true(session.isNew)
    t.deepEqual((await called()).toSorted(), ['get', 'get isNew']) // so it would have been seen
  } finally {
    Reflect.deleteProperty(globalThis, 'silenceTest')
    inspector.disconnect()
  }
})

test('a promise is no value: set says to await it, and keeps what was there', async (t) => {
  const session = open()
  session.set('user', 'ann')
  const failing = Promise.reject(new Error('its own failure is not reported a second time'))
  const builder: unknown = runInThisContext('new (class QueryBuilder { then(resolve) { resolve("row") } })()')
  for (const value of [
    Promise.resolve('bob'),
    (async () => 'bob')(),
    failing,
    builder,
    new (class extends Promise<void> {})(() => {}),
  ]) {
    const error = t.throws(() => session.set('user', value), { code: 'ERR_SESSION_VALUE' })
    t.is(error.message, "user: a promise cannot be stored: write ctx.session.set('user', await …)")
  }
  t.is(session.get('user'), 'ann')
  const nested = t.throws(() => session.set('user', { name: Promise.resolve() }), {
    code: 'ERR_SESSION_VALUE',
  })
  t.true(nested.message.startsWith('user.name: '))
  await new Promise(setImmediate)
})

test('update says to await before it when its function is async or returns a promise, and does not run an async one', async (t) => {
  const session = open()
  session.set('n', 1)
  let runs = 0
  const message =
    'n: the function of ctx.session.update() must not be async or return a promise, since it may run again: await what it needs before, and use the result in it'
  const functions: ((n: number) => unknown)[] = [
    async (n) => (runs += n),
    (n) => Promise.resolve(n + 1),
    () => Promise.reject(new Error('not reported a second time')),
  ]
  for (const change of functions) {
    const error = t.throws(() => session.update('n', change), { code: 'ERR_SESSION_VALUE' })
    t.is(error.message, message)
  }
  t.is(runs, 0)
  t.is(session.get('n'), 1)
  await new Promise(setImmediate)
})

test('update also says so when its function returns a promise only when it runs again on a newer value', async (t) => {
  const manager = new SessionManager({ store: new MemoryStore() })
  const first = manager.begin()
  first.set('n', 1)
  await first.commit()
  const [mine, other] = [await manager.open(first.id), await manager.open(first.id)]
  let runs = 0
  mine.update('n', (n) => ((runs += 1) > 1 ? Promise.resolve(n) : n + 1))
  other.set('n', 5)
  await other.commit()
  await t.throwsAsync(mine.commit(), { instanceOf: SessionError })
  t.is((await manager.open(first.id)).get('n'), 5)
})

const changes: Readonly<Record<string, (session: Session) => unknown>> = {
  set: (session) => session.set('a', 1),
  delete: (session) => session.delete('a'),
  update: (session) => session.update('a', () => 1),
  take: (session) => session.take('a'),
  clear: (session) => session.clear(),
  regenerate: (session) => session.regenerate(),
  maxAge: (session) => (session.maxAge = 1_000),
}

async function held(): Promise<{ session: Session; store: HeldStore; manager: SessionManager }> {
  const store = new HeldStore()
  const manager = new SessionManager({ store })
  const session = manager.begin()
  session.set('token', 't').set('a', 0)
  await session.commit()
  return { session, store, manager }
}

test('a change while destroy() is under way would be lost, so it throws and names the await', async (t) => {
  const { session, store } = await held()
  store.hold()
  const done = session.destroy()
  for (const [name, change] of Object.entries(changes)) {
    t.is(
      sentence(t, () => change(session)),
      'a change was made while session.destroy() was under way and would be lost: write await session.destroy()',
      name,
    )
  }
  await t.throwsAsync(session.claim('token'), { code: 'ERR_SESSION_STATE' })
  t.is(session.get('a'), 0)
  store.release()
  await done
  session.set('flash', 'Bye!')
  t.is(await session.commit(), 'ok')
})

test('a destroy() that fails leaves the session as it was, and it can be changed again', async (t) => {
  const { session, store } = await held()
  store.before = (verb) => {
    if (verb === 'destroy') throw new Error('down')
  }
  await t.throwsAsync(session.destroy(), { code: 'ERR_SESSION_STORE' })
  t.is(session.set('a', 1).get('a'), 1)
})

test('a change of a key whose claim() is under way would be lost, so it throws and names the await; other keys change', async (t) => {
  const { session, store, manager } = await held()
  store.hold()
  const claimed = session.claim('token')
  const message =
    "a change was made while session.claim('token') was under way and would be lost: write await session.claim('token')"
  for (const change of [
    () => session.set('token', 'u'),
    () => session.delete('token'),
    () => session.take('token'),
    () => session.update('token', () => 'u'),
  ])
    t.is(sentence(t, change), message)
  session.set('a', 1)
  store.release()
  t.is(await claimed, 't')
  session.set('token', 'u')
  await session.commit()
  t.deepEqual([...(await manager.open(session.id))].toSorted(), [
    ['a', 1],
    ['token', 'u'],
  ])
})

test('clear() while a claim() is under way still clears', async (t) => {
  const { session, store, manager } = await held()
  store.hold()
  const claimed = session.claim('token')
  session.clear()
  session.set('b', 2)
  store.release()
  await claimed
  await session.commit()
  t.deepEqual([...(await manager.open(session.id))], [['b', 2]])
})

test('what is set while commit() is under way is stored by the next commit', async (t) => {
  const { session, store, manager } = await held()
  session.set('a', 1)
  store.hold()
  const committed = session.commit()
  session.set('b', 2)
  store.release()
  await committed
  t.is(await session.commit(), 'ok')
  t.is((await manager.open(session.id)).get('b'), 2)
})

test('a session that is over can be read, and a misuse of reading it is a warning instead of an exception', async (t) => {
  const session = open()
  session.set('user', 'ann')
  await session.commit()
  t.is(await commitRequest(session), 'ok')
  const warnings: Error[] = []
  const listener = (warning: Error): void => void warnings.push(warning)
  process.on('warning', listener)
  t.teardown(() => process.off('warning', listener))
  t.is(session.get('user'), 'ann')
  t.deepEqual([...session], [['user', 'ann']])
  for (let times = 0; times < 3; times += 1) t.is(session['silenceLate'], undefined)
  t.false('silenceLate' in session)
  await new Promise(setImmediate)
  t.deepEqual(
    warnings
      .filter(({ message }) => message.includes('silenceLate'))
      .map(({ name, message }) => [name, withoutHint(message)]),
    [
      ['SessionWarning', read('silenceLate')],
      [
        'SessionWarning',
        "ctx.session has no property 'silenceLate': ask for the key with ctx.session.has('silenceLate')",
      ],
    ],
  )
  for (const [name, change] of Object.entries(changes))
    t.throws(() => change(session), { code: 'ERR_SESSION_STATE' }, name)
  t.is(
    sentence(t, () => (session['user'] = 1)),
    store,
  )
  await t.throwsAsync(session.claim('user'), { code: 'ERR_SESSION_STATE' })
  t.is(await session.commit(), 'ok')
  await session.destroy() // what has to end ends, at any time
})

test('a sentence about a misuse of ctx.session names the session as an object, for the code of packages', (t) => {
  const session = open()
  for (const program of [
    'session.user',
    'session.user = 1',
    'session.regenerate(() => {})',
    'session.destroy(() => {})',
  ])
    t.true(t.throws(() => sloppy(program)(session)).message.endsWith(AS_OBJECT), program)
})
