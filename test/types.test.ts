// Our published types beside those of other packages: programs are compiled, and schemas of other libraries are run.
// The packages stand in test/types/package.json, and are installed there the first time.
import { copyFile, cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import test from 'ava'
import {
  createRegistry,
  SessionError,
  SessionManager,
  type ObjectSchema,
  type StandardSchemaV1,
} from '../src/index.ts'
import { runCommand, temporaryFolder } from './support/cleanup.ts'
import { programsOf } from './support/markdown.ts'

const root = path.resolve('test/types')
const modules = path.join(root, 'node_modules')
const compilers = {
  7: path.resolve('node_modules/typescript/bin/tsc'),
  5: path.join(modules, 'typescript-5/bin/tsc'),
}

/** Every subpath of the package that has types. */
const subpaths = Object.entries(
  JSON.parse(await readFile('package.json', 'utf8')).exports as Record<string, unknown>,
).flatMap(([subpath, entry]) =>
  typeof entry === 'string' ? [] : [subpath.replace(/^\./, 'koa-typed-session')],
)

test.before('the packages are installed, and beside them our declarations, as they were built', async () => {
  const lock = path.join(root, 'package-lock.json')
  const installed = path.join(modules, 'installed.json')
  if ((await readFile(lock, 'utf8')) !== (await readFile(installed, 'utf8').catch(() => ''))) {
    await runCommand('npm', [
      'ci',
      '--silent',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--prefix',
      root,
    ])
    await copyFile(lock, installed)
  }
  const ours = path.join(modules, 'koa-typed-session')
  await rm(ours, { recursive: true, force: true })
  await cp('dist', path.join(ours, 'dist'), {
    recursive: true,
    filter: (file) => !/\.(?:js|map)$/.test(file),
  })
  await cp('package.json', path.join(ours, 'package.json'))
})

interface Compilation {
  readonly typescript?: keyof typeof compilers
  /** Where the declarations of a package are, below node_modules, if not under its own name. */
  readonly declarations?: Readonly<Record<string, string>>
  /** Packages of `@types` that the compiler includes although no file imports them. */
  readonly included?: readonly string[]
  readonly skipLibCheck?: boolean
}

/** The errors of the compiler. */
async function compile(program: string, options: Compilation = {}): Promise<string> {
  const { typescript = 7, declarations = {}, included = [], skipLibCheck = true } = options
  const folder = await temporaryFolder('kts-types-')
  const compilerOptions = {
    target: 'es2023',
    lib: ['es2023'],
    module: 'nodenext',
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck,
    noEmit: true,
    typeRoots: [path.join(modules, '@types')],
    types: ['node', ...included],
    paths: Object.fromEntries(
      Object.entries(declarations).map(([name, file]) => [name, [path.join(modules, file)]]),
    ),
  }
  const settings = path.join(folder, 'tsconfig.json')
  await writeFile(settings, JSON.stringify({ compilerOptions, files: [path.resolve(root, program)] }))
  return runCommand(process.execPath, [compilers[typescript], '-p', settings, '--pretty', 'false']).catch(
    ({ stdout }: { stdout?: string }) => stdout || 'the compiler did not run',
  )
}

// One compiler at a time: it has threads of its own.
const koaTypes = { '2.15': 'types-koa-2/index.d.ts', 3: '@types/koa/index.d.ts' }
const routers = {
  '@koa/router 12, 13 and 14 with the first @types/koa__router 12': 'types-koa__router-12.0.0/index.d.ts',
  '@koa/router 12, 13 and 14 with the newest @types/koa__router 12': 'types-koa__router-12/index.d.ts',
  '@koa/router 15.0': 'koa__router-15.0/dist/index.d.mts',
  '@koa/router 15': '@koa/router/dist/index.d.mts',
}
for (const [version, koa] of Object.entries(koaTypes)) {
  for (const [name, router] of Object.entries(routers)) {
    test.serial(
      `augment types ctx.session by the registered schema with @types/koa ${version} and ${name}`,
      async (t) => {
        t.is(await compile('programs/registered.ts', { declarations: { koa, '@koa/router': router } }), '')
      },
    )
  }
}

test.serial('augment types ctx.session under TypeScript 5, too', async (t) => {
  t.is(await compile('programs/registered.ts', { typescript: 5 }), '')
})

test.serial(
  'augment without a registered schema types ctx.session as a session that holds anything',
  async (t) => {
    t.is(await compile('programs/unregistered.ts'), '')
  },
)

test.serial(
  'without augment nothing is typed but what the middleware and SessionContext bring',
  async (t) => {
    t.is(await compile('programs/not-imported.ts'), '')
  },
)

test.serial('augment goes with koa-passport and koa-csrf', async (t) => {
  t.is(await compile('programs/passport-csrf.ts'), '')
})

for (const leftOver of ['koa-session', 'koa-generic-session']) {
  test.serial(`augment hides the ctx.session of a left-over @types/${leftOver}`, async (t) => {
    t.is(await compile('programs/left-over.ts', { included: [leftOver] }), '')
  })

  test.serial(
    `without skipLibCheck the compiler reports that a left-over @types/${leftOver} contradicts augment`,
    async (t) => {
      const errors = await compile('programs/left-over.ts', { included: [leftOver], skipLibCheck: false })
      t.regex(errors, /^.*node_modules.*: error TS\d+: .*(?:'session'|'BaseContext')/)
    },
  )
}

test.serial('without skipLibCheck our declarations have no errors', async (t) => {
  t.is(await compile('programs/registered.ts', { skipLibCheck: false }), '')
})

/** What TypeScript 5 says about a program of CommonJS that imports every subpath, and uses what it imports. */
async function compileCommon(compilerOptions: Readonly<Record<string, unknown>>): Promise<string> {
  const folder = await temporaryFolder('kts-common-')
  await writeFile(path.join(folder, 'package.json'), '{ "private": true }')
  await symlink(modules, path.join(folder, 'node_modules'), 'junction')
  await mkdir(path.join(folder, 'src'))
  const imports = subpaths.map((subpath, at) => `import * as m${at} from '${subpath}'`)
  const used = `import { session, SessionError, type SessionOptions } from 'koa-typed-session'
    import { RedisStore, type RedisStoreOptions } from 'koa-typed-session/stores/redis'
    const settings: RedisStoreOptions = { url: 'redis://127.0.0.1' }
    const options: SessionOptions = { store: new RedisStore(settings) }
    export const loaded = [${subpaths.map((_subpath, at) => `m${at}`).join(', ')}, session(options)]
    export const isOurs = (error: unknown): boolean => error instanceof SessionError && error.code === 'ERR_SESSION_STORE'
    // @ts-expect-error the declarations are there, and not any
    export const wrong: number = new RedisStore(settings)`
  await writeFile(path.join(folder, 'src/program.ts'), [...imports, used].join('\n'))
  await writeFile(
    path.join(folder, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        target: 'es2022',
        strict: true,
        noEmit: true,
        preserveSymlinks: true,
        skipLibCheck: true,
        types: ['node'],
        ...compilerOptions,
      },
      include: ['src'],
    }),
  )
  return runCommand(process.execPath, [compilers[5], '-p', folder, '--pretty', 'false']).catch(
    ({ stdout }: { stdout?: string }) => stdout || 'the compiler did not run',
  )
}

test.serial('a program of CommonJS with moduleResolution node10 finds every subpath', async (t) => {
  t.is(await compileCommon({ module: 'commonjs', moduleResolution: 'node10' }), '')
})

test.serial(
  'a program of CommonJS with module node16 finds every subpath, without skipLibCheck too',
  async (t) => {
    const errors = await compileCommon({ module: 'node16', skipLibCheck: false })
    t.deepEqual(
      // The drivers are not installed beside it.
      errors.split('\n').filter((line) => line !== '' && !line.includes('TS2307')),
      [],
    )
  },
)

test.serial('a session has the types of schemas of zod 4, 3.25 and 3.24, valibot and arktype', async (t) => {
  t.is(await compile('programs/schemas.ts'), '')
})

test.serial('the programs of docs/types.md about types compile', async (t) => {
  const programs = (await programsOf('docs/types.md')).filter(({ title }) =>
    title.endsWith(': The types of a session'),
  )
  t.true(programs.length > 0)
  const folder = await temporaryFolder('page-', modules)
  for (const [index, { code }] of programs.entries()) {
    const file = path.join(folder, `program-${index}.mts`)
    await writeFile(file, code)
    t.is(await compile(file), '')
  }
})

class Cart {
  items: string[] = []
}

interface Example {
  /** Schemas for text of at least one character, for a `Cart`, and for the fields of a `Cart`; all that throws or is late. */
  readonly text: StandardSchemaV1
  readonly cart: StandardSchemaV1
  readonly fields: ObjectSchema | undefined
  readonly failing: readonly StandardSchemaV1[]
}

/** A library out of test/types/, whose types the compiler does not see here. */
async function load(name: string): Promise<Library> {
  const file = createRequire(path.join(root, 'package.json')).resolve(name)
  const module: Library = await import(pathToFileURL(file).href)
  return module
}

// The functions of a library are called as its documentation says.
// oxlint-disable-next-line typescript/no-explicit-any
type Library = any

async function zodExample(name: string): Promise<Example> {
  const { z } = await load(name)
  return {
    text: z.string().min(1),
    cart: z.instanceof(Cart),
    fields: z.object({ items: z.array(z.string()) }),
    failing: [
      z.unknown().refine(async () => true),
      z.unknown().refine(() => {
        throw new Error('wrong')
      }),
    ],
  }
}

const examples: Record<string, () => Promise<Example>> = {
  'zod 4': async () => zodExample('zod'),
  'zod 3.25': async () => zodExample('zod-3'),
  'zod 3.24': async () => zodExample('zod-3.24'),
  valibot: async () => {
    const v = await load('valibot')
    return {
      text: v.pipe(v.string(), v.minLength(1)),
      cart: v.instance(Cart),
      fields: v.object({ items: v.array(v.string()) }),
      failing: [
        v.pipeAsync(
          v.unknown(),
          v.checkAsync(async () => true),
        ),
        v.custom(() => {
          throw new Error('wrong')
        }),
      ],
    }
  },
  arktype: async () => {
    const { type } = await load('arktype')
    const failing = type('unknown').narrow(() => {
      throw new Error('wrong')
    })
    return { text: type('string > 0'), cart: type.instanceOf(Cart), fields: undefined, failing: [failing] }
  },
}
for (const [name, exampleOf] of Object.entries(examples)) {
  test(`schemas of ${name} check a session, and no message shows a value`, async (t) => {
    const { text, cart, fields, failing } = await exampleOf()
    const registry = createRegistry()
    registry.registerType(Cart, fields === undefined ? {} : { schema: fields })
    const schema = { text, cart, ...Object.fromEntries(failing.entries()) }
    const session = new SessionManager({ schema, registry }).begin()
    session.set('text', 'secret').set('cart', Object.assign(new Cart(), { items: ['secret'] }))
    t.is(session.get('text'), 'secret')
    const wrong: [key: string, value: unknown][] = [
      ['text', ''],
      ['text', { secret: 'secret' }],
      ['text', 53_272],
      ['cart', 'secret'],
      ['cart', { items: ['secret'] }],
      ...(fields === undefined
        ? []
        : [['cart', Object.assign(new Cart(), { items: 'secret' })] as [string, unknown]]),
      ...[...failing.keys()].map((key): [string, unknown] => [String(key), 'secret']),
    ]
    for (const [key, value] of wrong) {
      const error = t.throws(() => session.set(key as 'text', value), {
        instanceOf: SessionError,
        code: 'ERR_SESSION_VALUE',
      })
      t.true(error.message.startsWith(/^\d/.test(key) ? `${key}: its schema failed` : key), error.message)
      t.notRegex(error.message, /secret|53.?272/)
    }
    t.is(session.size, 2)
  })
}

test('schemas of zod before 3.24 are refused at start', async (t) => {
  const { z } = await load('zod-3.23')
  t.throws(() => new SessionManager({ schema: { text: z.string() } }), {
    instanceOf: SessionError,
    code: 'ERR_SESSION_OPTIONS',
    message: /^session: schema\.text: is not a schema of zod 4/,
  })
  t.throws(() => createRegistry().registerType(Cart, { schema: z.object({ items: z.array(z.string()) }) }), {
    instanceOf: SessionError,
    code: 'ERR_SESSION_TYPE',
  })
})
