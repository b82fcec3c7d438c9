import { getHashes } from 'node:crypto'
import { z } from 'zod'
import type { SealKey } from './codec/key-ring.ts'
import type { Limits } from './codec/limits.ts'
import { SessionError } from './errors.ts'
import type { SessionEvent } from './events.ts'
import { DAYS_400 } from './life.ts'
import type { CookieOptions, ManagerOptions, SessionOptions } from './options.ts'
import type { Registry } from './registry.ts'
import type { Schema } from './schema.ts'
import type { Store } from './store.ts'

const ms = z.int('must be a whole number of ms').positive('must be more than 0 ms')
const timer = ms.max(2_147_483_647, 'must be at most 24 days')
const functionType = <T>(): z.ZodType<T> =>
  z.custom<T>((value) => typeof value === 'function', 'must be a function')
const objectType = <T>(what: string): z.ZodType<T> =>
  z.custom<T>((value) => typeof value === 'object' && value !== null, `must be ${what}`)
const token = z.string().regex(/^[!#$%&'*+\-.^_`|~\w]+$/, 'must be a name of letters, digits and -_. only')
const hashes = new Set(getHashes().map((name) => name.toLowerCase()))

const limits: z.ZodType<Partial<Limits>> = z.strictObject({
  bytes: z.int().positive().exactOptional(),
  keyBytes: z.int().positive().exactOptional(),
  keys: z.int().positive().exactOptional(),
  keyLength: z.int().positive().exactOptional(),
  depth: z.int().positive().max(256, 'must be at most 256').exactOptional(),
  bigintDigits: z.int().positive().exactOptional(),
  nodes: z.int().positive().exactOptional(),
})

const managerShape = {
  store: objectType<Store>('a store').exactOptional(),
  provider: z.string().min(1).exactOptional(),
  providerConfig: z.string().exactOptional(),
  seal: z
    .strictObject({
      keys: z.array(z.custom<SealKey>(() => true)),
      plainUntil: z.date('must be a Date').exactOptional(),
    })
    .exactOptional(),
  idleTimeout: ms.exactOptional(),
  absoluteTimeout: ms.exactOptional(),
  renewAfter: ms.exactOptional(),
  renewGrace: z.int('must be a whole number of ms').nonnegative('must be 0 ms or more').exactOptional(),
  openTimeout: timer.exactOptional(),
  commitTimeout: timer.exactOptional(),
  maxPending: z.int().positive('must be more than 0').exactOptional(),
  hash: z
    .string()
    .refine(
      (name) => hashes.has(name.toLowerCase()) && !/^md|shake/i.test(name),
      'must name a hash of node:crypto, such as sha256',
    )
    .exactOptional(),
  idPrefix: z
    .string()
    .max(64)
    .regex(/^[\w-]*$/, 'must be letters, digits, - and _')
    .exactOptional(),
  keepEmpty: z.boolean().exactOptional(),
  schema: objectType<Schema>('an object of zod types').optional(),
  registry: objectType<Registry>('a registry of createRegistry()').exactOptional(),
  limits: limits.exactOptional(),
  sweepInterval: z.int().nonnegative().max(2_147_483_647).exactOptional(),
  onEvent: functionType<(event: SessionEvent) => void>().exactOptional(),
  now: functionType<() => number>().exactOptional(),
  pause: functionType<(ms: number) => Promise<void>>().exactOptional(),
}

const cookieType: z.ZodType<CookieOptions> = z
  .strictObject({
    maxAge: ms.max(DAYS_400, 'must be at most 400 days: browsers keep no cookie longer').exactOptional(),
    domain: z
      .string()
      .regex(/^\.?[a-z\d]([a-z\d-]*[a-z\d])?(\.[a-z\d]([a-z\d-]*[a-z\d])?)*$/i, 'must be a host name')
      .exactOptional(),
    path: z
      .string()
      .regex(/^\/[\x21-\x3a\x3c-\x7e]*$/, 'must begin with / and hold no space or ;')
      .exactOptional(),
    sameSite: z.enum(['lax', 'strict', 'none']).exactOptional(),
    httpOnly: z.boolean().exactOptional(),
    secure: z.union([z.boolean(), z.literal('auto')], "must be true, false or 'auto'").exactOptional(),
    partitioned: z.boolean().exactOptional(),
  })
  .refine(({ sameSite, secure }) => sameSite !== 'none' || secure === true, {
    path: ['sameSite'],
    message: "sameSite 'none' needs cookie.secure: true",
  })
  .refine(({ partitioned, secure }) => partitioned !== true || secure === true, {
    path: ['partitioned'],
    message: 'partitioned needs cookie.secure: true',
  })

const managerType: z.ZodType<ManagerOptions> = z.strictObject(managerShape)
const sessionType: z.ZodType<SessionOptions> = z.strictObject({
  ...managerShape,
  enabled: z.boolean().exactOptional(),
  name: token.exactOptional(),
  cookie: z.union([cookieType, z.literal(false)]).exactOptional(),
  header: token.exactOptional(),
  query: z.string().min(1).exactOptional(),
  property: z.string().min(1).exactOptional(),
  commitOnError: z
    .union([z.boolean(), functionType<(error: unknown) => boolean>()], 'must be true, false or a function')
    .exactOptional(),
  passive: functionType<NonNullable<SessionOptions['passive']>>().exactOptional(),
  mayCreate: functionType<NonNullable<SessionOptions['mayCreate']>>().exactOptional(),
  onStoreError: z.enum(['throw', 'anonymous'], "must be 'throw' or 'anonymous'").exactOptional(),
})

/** @throws SessionError `ERR_SESSION_OPTIONS` that names the field */
export function checkManagerOptions(options: ManagerOptions): void {
  check(managerType, options)
}

/** @throws SessionError `ERR_SESSION_OPTIONS` that names the field */
export function checkSessionOptions(options: SessionOptions): void {
  check(sessionType, options)
}

function check<T>(type: z.ZodType<T>, options: T): void {
  const result = type.safeParse(options)
  if (result.success) return
  const [first] = result.error.issues
  if (first === undefined) throw wrong('options', 'are wrong')
  const { issue, path } = deepest(first, [])
  if (issue.code === 'unrecognized_keys') throw wrong([...path, issue.keys[0]].join('.'), 'is not a setting')
  throw wrong(path.length === 0 ? 'options' : path.join('.'), issue.message)
}

type Issue = z.core.$ZodIssue
type Path = readonly PropertyKey[]

/** Of alternatives that all failed, the one that came farthest says what is wrong. */
function deepest(issue: Issue, above: Path): { issue: Issue; path: Path } {
  const path = [...above, ...issue.path]
  if (issue.code !== 'invalid_union') return { issue, path }
  const inside = issue.errors.flat().map((inner) => deepest(inner, path))
  return inside.reduce((best, next) => (next.path.length > best.path.length ? next : best), { issue, path })
}

/** What is said of a setting that cannot be. */
export function wrong(field: string, text: string): SessionError {
  return new SessionError('ERR_SESSION_OPTIONS', `session: ${field}: ${text}`)
}
