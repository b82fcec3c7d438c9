import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { hash } from 'node:crypto'
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { inspect, isDeepStrictEqual } from 'node:util'
import test from 'ava'
import { SessionError } from '../../../src/errors.ts'
import { systemError } from '../../../src/stores/file/errors.ts'
import { FileStore } from '../../../src/stores/file.ts'
import {
  acts,
  assertTidy,
  assertUsable,
  found,
  HOUR,
  KEY,
  OLD,
  START,
  storeAt,
  type Act,
} from './operations.ts'
import { Children, run } from './child.ts'
import { intercept, type Step } from './file-system-calls.ts'
import { temporaryFolder } from '../../support/cleanup.ts'

const base = await temporaryFolder('kts-file-trouble-')

const CODES = ['ENOSPC', 'EROFS', 'EMFILE', 'EACCES', 'EIO', 'EDQUOT']

/** What is to go wrong: at which step, with which code, and whether the step was done all the same. */
interface Fault {
  readonly step: number
  readonly code: string
  readonly done: boolean
}

const faults = new AsyncLocalStorage<{ readonly fault: Fault; steps: number }>()
let children: Children
test.before(async () => {
  children = await Children.compile(base)
  await intercept(async (step) => {
    const here = faults.getStore()
    if (here === undefined) return step.run()
    here.steps += 1
    const run = async (): Promise<unknown> => (step.name === 'sync' ? undefined : step.run())
    if (here.steps !== here.fault.step) return run()
    if (here.fault.done) {
      const result = await run()
      if (result instanceof Object && 'close' in result) await Reflect.apply(Object(result.close), result, [])
    }
    throw errno(here.fault.code, step)
  })
})

/** As Node makes them: the path is in the text, and once more beside it. */
function errno(code: string, { name, args }: Step): Error {
  const file = String(args[0])
  return Object.assign(new Error(`${code}: trouble, ${name} '${file}'`), { code, syscall: name, path: file })
}

let folders = 0
function folderName(): string {
  return path.join(base, `folder-${(folders += 1)}`)
}

/** Does the act with a fault. `false` if it has fewer steps. */
async function suffer(act: Act, fault: Fault): Promise<boolean> {
  const folder = folderName()
  await act.prepare(storeAt(folder, act.now - HOUR), folder)
  const store = storeAt(folder, act.now, true)
  await store.open()
  const counted = { fault, steps: 0 }
  const error: unknown = await faults.run(counted, async () => act.run(store).then(() => undefined, Object))
  if (counted.steps < fault.step) return false

  const seen = await found(folder, act.now)
  const done = isDeepStrictEqual(seen, act.after)
  assert.ok(done || isDeepStrictEqual(seen, act.before), inspect(fault))
  if (error === undefined) assert.ok(done, `done, as it was said: ${inspect(fault)}`)
  else assertDiscreet(error, fault.code, folder)
  // What a killed process has left is for a sweep, but a failure tidies up after itself.
  if (!done && !fault.done && act.tidy) await assertTidy(folder, act.before === undefined ? 0 : 1)
  await assertUsable(folder, act.now)
  return true
}

/** Asserts that an error tells the code, and neither key nor payload nor path. */
function assertDiscreet(error: unknown, code: string, folder: string): void {
  assert.ok(error instanceof SessionError)
  assert.equal(error.code, 'ERR_SESSION_STORE')
  assert.match(error.message, new RegExp(`^file: [a-z]+ failed: (?:${code}|[a-z -]+ \\(${code}\\))$`))
  const shown = inspect(error, { depth: 10 })
  for (const secret of [KEY, hash('sha256', KEY, 'hex'), 'secret', folder]) {
    assert.ok(!shown.includes(secret), `the error shows ${secret}`)
  }
}

for (const [name, act] of Object.entries<Act>(acts)) {
  test.serial(
    `F13: whatever step of ${name} fails, the old or the new is there and the error is discreet`,
    async (t) => {
      let step = 1
      for (let more = true; more; step += 1) {
        const code = CODES[step % CODES.length] ?? 'EIO'
        more = await suffer(act, { step, code, done: false })
        if (more) await suffer(act, { step, code: 'EIO', done: true })
      }
      t.true(step > 3)
    },
  )
}

async function cramped(command: readonly string[], lack: string, folder: string): Promise<unknown> {
  const [program = '', ...args] = [...command, process.execPath, ...children.command('cramped', folder, lack)]
  const { stdout, stderr } = await run(program, args)
  assert.equal(stderr, '')
  return JSON.parse(stdout)
}

/** Runs what follows with a limit of the shell's. */
function limited(limit: string): readonly string[] {
  return ['sh', '-c', `ulimit ${limit}; exec "$@"`, 'sh']
}

/** Runs what follows with a small file system of its own in the folder. */
function mounted(folder: string, size: string): readonly string[] {
  const mount = `mount -t tmpfs -o size=${size},mode=755 tmpfs "${folder}" && exec "$@"`
  const alone = process.getuid?.() === 0 ? ['-m'] : ['-m', '-r']
  return ['unshare', ...alone, 'sh', '-c', mount, 'sh']
}

test('F13: a payload that does not fit on the disk is rejected with ENOSPC, and the stored session is intact', async (t) => {
  const folder = folderName()
  await fs.mkdir(folder)
  t.deepEqual(await cramped(mounted(folder, '64k'), 'room', folder), [
    'ok',
    'file: replace failed: there is no room on the disk (ENOSPC)',
    'file: create failed: there is no room on the disk (ENOSPC)',
    true,
  ])
})

test('F13: on a full disk reads, touches and destroys succeed, writes report it, and succeed when there is space again', async (t) => {
  const folder = folderName()
  await fs.mkdir(folder)
  t.deepEqual(await cramped(mounted(folder, '1m'), 'full', path.join(folder, 'sessions')), [
    'file: replace failed: there is no room on the disk (ENOSPC)',
    'file: create failed: there is no room on the disk (ENOSPC)',
    'ok',
    'ok',
    true,
    1,
    'ok',
    'ok',
    true,
  ])
})

for (const [disk, reason, logout] of [
  ['a full disk', 'there is no room on the disk (ENOSPC)', true],
  [
    'a read-only disk',
    'the file system is read-only (EROFS)',
    'file: destroy failed: the file system is read-only (EROFS)',
  ],
] as const) {
  test(`F13, F27, security 53: of a thousand requests that read on ${disk} none fails, and the circuit stays closed`, async (t) => {
    const folder = folderName()
    await fs.mkdir(folder)
    const [reads, writes, ended, after, downs] = Object(
      await cramped(mounted(folder, '1m'), `requests on ${disk}`, path.join(folder, 'sessions')),
    )
    t.deepEqual(reads, ['0 ok'])
    t.deepEqual(writes.toSorted(), [`file: create failed: ${reason}`, `file: replace failed: ${reason}`])
    t.deepEqual([ended, after, downs], [logout, 'ok', 0])
  })
}

test('F13: on a read-only file system reads succeed, the other verbs report it, and succeed afterwards', async (t) => {
  const folder = folderName()
  await fs.mkdir(folder)
  const sessions = path.join(folder, 'sessions')
  t.deepEqual(await cramped(mounted(folder, '1m'), 'frozen', sessions), [
    'file: replace failed: the file system is read-only (EROFS)',
    'file: create failed: the file system is read-only (EROFS)',
    'file: touch failed: the file system is read-only (EROFS)',
    'file: destroy failed: the file system is read-only (EROFS)',
    true,
    2,
    'ok',
    'ok',
    true,
    'file: the folder cannot be used: the file system is read-only (EROFS)',
    'absent',
  ])
})

test('F13: in a folder without write permission reads succeed, the other verbs report it, and succeed afterwards', async (t) => {
  const folder = folderName()
  await fs.mkdir(folder)
  await fs.chmod(folder, 0o1777)
  t.deepEqual(await cramped([], 'guarded', path.join(folder, 'sessions')), [
    'file: replace failed: the process may not do this in the folder (EACCES)',
    'file: create failed: the process may not do this in the folder (EACCES)',
    'file: touch failed: the process may not do this in the folder (EACCES)',
    'file: destroy failed: the process may not do this in the folder (EACCES)',
    true,
    2,
    'ok',
    'ok',
    true,
  ])
})

test('F13: a file size limit is a failed write, and the stored session is intact', async (t) => {
  t.deepEqual(await cramped(limited('-f 8'), 'room', folderName()), [
    'ok',
    'file: replace failed: the file would be larger than the process may write (EFBIG)',
    'file: create failed: the file would be larger than the process may write (EFBIG)',
    true,
  ])
})

test('F13: on an overlay, as in a container, what a lower layer holds is read, changed, ended and swept', async (t) => {
  const folder = folderName()
  await fs.mkdir(folder)
  const alone = process.getuid?.() === 0 ? ['-m'] : ['-m', '-r']
  const { stdout, stderr } = await run('unshare', [
    ...alone,
    process.execPath,
    ...children.command('overlaid', folder),
  ])
  t.is(stderr, '')
  t.deepEqual(
    JSON.parse(stdout),
    [...Object.keys(acts), 'emptied'].map((name) => [name, 'ok']),
  )
})

test('F13: ten thousand concurrent calls need only a few file descriptors', async (t) => {
  t.deepEqual(await cramped(limited('-n 64'), 'descriptors', folderName()), [100, 2, 100])
})

test('F13: without a free file descriptor every verb reports it, and the stored session is intact', async (t) => {
  t.deepEqual(await cramped(limited('-n 64'), 'handles', folderName()), [
    'file: read failed: the process has too many open files (EMFILE)',
    'file: replace failed: the process has too many open files (EMFILE)',
    'file: create failed: the process has too many open files (EMFILE)',
    true,
    'ok',
  ])
})

test('open and every verb name a folder that is not accessible', async (t) => {
  const folder = folderName()
  await storeAt(folder, START).open()
  if (process.getuid?.() === 0) await fs.chown(folder, 65_534, 65_534)
  await fs.chmod(folder, 0)
  const [open, read, below] = [folder, folder, `${folder}/below`].map(
    () => 'file: the folder cannot be used: the process may not do this in the folder (EACCES)',
  )
  t.deepEqual(await cramped([], 'rights', folder), [open, read, below])
  await fs.chmod(folder, 0o700)
})

test('security 46: a process of another user, into which root has turned, is refused in a folder of root', async (t) => {
  const folder = folderName()
  await storeAt(folder, START).open()
  await fs.chmod(folder, 0o755)
  const [open, read] = (await cramped([], 'rights', folder)) as readonly string[]
  const foreign =
    'file: the folder belongs to another user (uid 0), who could forge sessions: ' +
    'chown -R it to the user of this process (uid 65534), or run the process as that user'
  // Without root the process stays the owner, and nothing is wrong.
  t.deepEqual([open, read], process.getuid?.() === 0 ? [foreign, foreign] : [null, null])
})

test('a sweep goes on after an error in a part of the folder, and reports it', async (t) => {
  const folder = folderName()
  const store = storeAt(folder, START)
  for (const key of ['one', 'two', 'three']) await store.create(key, OLD, START)
  // The first step lists the shelves, the second one lists the first shelf.
  const counted = { fault: { step: 2, code: 'EIO', done: false }, steps: 0 }
  await t.throwsAsync(
    faults.run(counted, async () => store.sweep(10)),
    { message: 'file: sweep failed: EIO' },
  )
  t.is(await store.sweep(10), 1)
  await assertTidy(folder, 0)
})

test('open names a folder that cannot be created', async (t) => {
  const file = folderName()
  await fs.writeFile(file, '')
  const folder = path.join(file, 'below')
  await t.throwsAsync(new FileStore({ folder }).open(), {
    code: 'ERR_SESSION_STORE',
    message: 'file: the folder cannot be used: ENOTDIR',
  })
})

test('after a failed open the next verb tries again', async (t) => {
  const file = folderName()
  await fs.writeFile(file, '')
  const store = new FileStore({ folder: path.join(file, 'below') })
  await t.throwsAsync(store.read(KEY), { code: 'ERR_SESSION_STORE' })
  await fs.rm(file)
  t.is(await store.read(KEY), undefined)
})

test('F27: an error says whether the file system has answered', (t) => {
  for (const [code, answered] of [
    ...['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EPERM', 'EMFILE', 'ENFILE', 'EFBIG'].map(
      (each) => [each, true] as const,
    ),
    ...['ENOTDIR', 'ENOENT', 'ELOOP', 'ENAMETOOLONG', 'EINVAL'].map((each) => [each, true] as const),
    ...['EIO', 'ESTALE', 'ETIMEDOUT', 'ENOTCONN', 'EHOSTDOWN', 'ENXIO'].map((each) => [each, false] as const),
    ...['ERR_INVALID_ARG_TYPE', 'ABORT_ERR'].map((each) => [each, false] as const),
  ]) {
    const cause = errno(code, { name: 'open', args: ['/secret'], run: async () => undefined })
    t.is(systemError('read failed', cause).answered, answered, code)
  }
  t.false(systemError('read failed', new TypeError('a mistake')).answered)
})
