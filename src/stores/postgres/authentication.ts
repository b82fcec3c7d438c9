import type { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import type { Client, ClientConfig } from 'pg'
import { Refusal } from '../shared/errors.ts'
import type { Settings } from './parameters.ts'
import { choiceOf, refusal } from './refusal.ts'

/** A way in which a server lets a user in, in the words of libpq's `require_auth`. */
type Method = 'password' | 'md5' | 'scram-sha-256' | 'none'

const METHODS: readonly Method[] = ['password', 'md5', 'scram-sha-256', 'none']
/** Those that the driver does not know. */
const FOREIGN: readonly string[] = ['gss', 'sspi', 'creds', 'oauth']

/** What a server must do before it is told the password. */
export interface AuthenticationRules {
  /** `require`: it proves that it is the end of the TLS connection and knows the password. `prefer`: if it can. */
  readonly binding: 'disable' | 'prefer' | 'require' | undefined
  /** The methods that are allowed; all by default. */
  readonly methods: ReadonlySet<Method> | undefined
}

/** @throws SessionError `ERR_SESSION_OPTIONS` if a value is unknown, or none of the methods is one of the driver's */
export function authenticationRules(settings: Settings): AuthenticationRules {
  return {
    binding: choiceOf(settings, 'channel_binding', ['disable', 'prefer', 'require']),
    methods: methodsOf(settings),
  }
}

function methodsOf(settings: Settings): AuthenticationRules['methods'] {
  const value = settings.get('require_auth')?.value
  if (value === undefined || value === '') return undefined
  const names = value.split(',')
  const isNegated = names.every((name) => name.startsWith('!'))
  const plain = names.map((name) => (isNegated ? name.slice(1) : name))
  if (!plain.every((name) => [...METHODS, ...FOREIGN].includes(name)))
    throw refusal(
      `must have a list of ${[...METHODS, ...FOREIGN].join(', ')} as require_auth, or of each with a ! before it`,
      settings,
      'require_auth',
    )
  const methods = new Set(METHODS.filter((method) => plain.includes(method) !== isNegated))
  if (methods.size === 0)
    throw refusal('allows no method as require_auth that the driver knows', settings, 'require_auth')
  return methods
}

/**
 * A client of `pg` that keeps the rules. The driver answers to whatever a server asks for, with the password itself if that is
 * it; here the connection ends before. It also ends where the driver gives up itself, as without a password: the driver leaves it
 * open, and it would keep the process alive until the server closes it.
 */
export function guardedClient(Base: typeof Client, rules: AuthenticationRules): typeof Client {
  return class extends Base {
    constructor(config?: string | ClientConfig) {
      super(config)
      // The protocol below the client, which has no types. Its listeners are called in their order, so these before the client's.
      const connection: unknown = Reflect.get(this, 'connection')
      if (isConnection(connection)) guard(connection, rules)
      else if (rules.binding === 'require' || rules.methods !== undefined)
        throw new Refusal('this version of pg does not allow to check how the server authenticates')
      if (rules.binding === 'require' && Reflect.get(this, 'enableChannelBinding') !== true)
        throw new Refusal('this version of pg does not know channel binding: update it')
    }
  }
}

interface Connection extends EventEmitter {
  readonly stream: Duplex
}

function isConnection(connection: unknown): connection is Connection {
  const { on, emit, stream } = Object(connection)
  return typeof on === 'function' && typeof emit === 'function' && typeof stream?.destroy === 'function'
}

function guard(connection: Connection, { binding, methods }: AuthenticationRules): void {
  let method: Method = 'none'
  let isBound = false
  let isProven = false
  const refuse = (reason: string): void => void connection.emit('error', new Refusal(reason))
  connection.on('error', () => connection.stream.destroy()) // so that nothing is sent any more
  const assess = (next: Method): void => {
    method = next
    if (methods !== undefined && !methods.has(method))
      refuse(`the server asks for the authentication ${method}, and require_auth does not allow it`)
    else if (binding === 'require' && !isBound)
      refuse('the server does not offer channel binding, and channel_binding=require asks for it')
  }
  connection.on('authenticationCleartextPassword', () => assess('password'))
  connection.on('authenticationMD5Password', () => assess('md5'))
  connection.on('authenticationSASL', ({ mechanisms }: { readonly mechanisms: readonly string[] }) => {
    isBound = mechanisms.includes('SCRAM-SHA-256-PLUS')
    assess('scram-sha-256')
  })
  connection.on('authenticationSASLFinal', () => (isProven = true))
  connection.on('authenticationOk', () => {
    if (method === 'none') assess(method)
    else if (method === 'scram-sha-256' && !isProven)
      refuse('the server did not prove that it knows the password')
  })
}
