import { parseArgs } from 'node:util'
import { knownNames } from '../nearest-name.ts'

/** A mistake in how the command was called: exit code 2. */
export class UsageError extends Error {}

/** The options of the command, by their names without dashes. */
export interface Flags {
  readonly config: string | undefined
  readonly provider: string | undefined
  readonly owner: string | undefined
  readonly tenant: string | undefined
  readonly handle: string | undefined
  readonly all: boolean
  readonly values: boolean
  readonly json: boolean
  readonly yes: boolean
  readonly help: boolean
  readonly hash: string | undefined
  readonly 'id-prefix': string | undefined
  readonly application: string | undefined
}

export const commands = ['inspect', 'list', 'end', 'count', 'sweep', 'doctor'] as const
export type CommandName = (typeof commands)[number]

const options = {
  config: { type: 'string' },
  provider: { type: 'string' },
  owner: { type: 'string' },
  tenant: { type: 'string' },
  handle: { type: 'string' },
  all: { type: 'boolean' },
  values: { type: 'boolean' },
  json: { type: 'boolean' },
  yes: { type: 'boolean', short: 'y' },
  help: { type: 'boolean', short: 'h' },
  hash: { type: 'string' },
  'id-prefix': { type: 'string' },
  application: { type: 'string' },
} as const

/** What would be a secret in an argument, and where it goes instead. */
const secrets: Readonly<Record<string, string>> = {
  'provider-config': 'the environment variable SESSION_PROVIDER_CONFIG',
  providerConfig: 'the environment variable SESSION_PROVIDER_CONFIG',
  url: 'the environment variable SESSION_PROVIDER_CONFIG',
  seal: 'the environment variable SESSION_SEAL_KEYS',
  key: 'the environment variable SESSION_SEAL_KEYS',
  keys: 'the environment variable SESSION_SEAL_KEYS',
  password: 'the environment variable SESSION_PROVIDER_CONFIG',
  id: 'the standard input',
}

export const USAGE = `koa-typed-session: looks after the sessions in a store

  koa-typed-session inspect                        shows the session whose ID comes by the standard input
  koa-typed-session inspect --owner ann --handle H shows a session of an owner
  koa-typed-session list --owner ann               lists the sessions of an owner
  koa-typed-session end --owner ann --handle H     ends one of them
  koa-typed-session end --owner ann --all          ends all of them
  koa-typed-session count                          counts what is stored
  koa-typed-session sweep                          removes what has expired
  koa-typed-session doctor                         looks for what can go wrong

Where the sessions are:
  --config FILE     settings as beego writes them, such as conf/app.conf
  --provider NAME   a provider, such as redis; its config string comes from the environment variable SESSION_PROVIDER_CONFIG
  --hash, --id-prefix, --application   as the options hash, idPrefix and seal.application of the program
  SESSION_SEAL_KEYS the keys of the option seal, with commas between them

More:
  --tenant NAME     the tenant of the owner
  --values          shows values too, as they are stored
  --json            one JSON object for programs
  --yes, -y         ends sessions without a question
`

/**
 * Reads the arguments. No message quotes one of them but the known names: what was mistyped may be a secret.
 *
 * @throws UsageError
 */
export function readArguments(args: readonly string[]): { command: CommandName | undefined; flags: Flags } {
  const { values, positionals, tokens } = parseArgs({
    args: [...args],
    options,
    allowPositionals: true,
    strict: false,
    tokens: true,
  })
  for (const token of tokens) {
    if (token.kind !== 'option') continue
    const { name, value } = token
    const known = Object.hasOwn(options, name) ? options[name as keyof typeof options] : undefined
    if (known === undefined && Object.hasOwn(secrets, name))
      throw new UsageError(
        `--${name}: would be seen in the list of processes; it comes from ${secrets[name]}`,
      )
    if (known === undefined)
      throw new UsageError(`there is an option that is not known${knownNames(name, Object.keys(options))}`)
    if (known.type === 'string' && (value === undefined || value === ''))
      throw new UsageError(`--${name}: needs a value`)
    if (known.type === 'boolean' && value !== undefined) throw new UsageError(`--${name}: takes no value`)
  }
  const text = (name: keyof typeof options): string | undefined => {
    const value = values[name]
    return typeof value === 'string' ? value : undefined
  }
  const is = (name: keyof typeof options): boolean => values[name] === true
  const flags: Flags = {
    config: text('config'),
    provider: text('provider'),
    owner: text('owner'),
    tenant: text('tenant'),
    handle: text('handle'),
    all: is('all'),
    values: is('values'),
    json: is('json'),
    yes: is('yes'),
    help: is('help'),
    hash: text('hash'),
    'id-prefix': text('id-prefix'),
    application: text('application'),
  }
  return { command: commandOf(positionals, flags), flags }
}

function commandOf([name, ...more]: readonly string[], flags: Flags): CommandName | undefined {
  if (flags.help || name === undefined) return undefined
  const command = commands.find((each) => each === name)
  if (command === undefined) throw new UsageError(`the command is not known${knownNames(name, commands)}`)
  if (more.length > 0)
    throw new UsageError(
      `${command}: takes no argument; an ID comes by the standard input, since arguments are seen in the list of processes`,
    )
  if (flags.config !== undefined && flags.provider !== undefined)
    throw new UsageError('--config and --provider: give one of them')
  if (flags.config === undefined && flags.provider === undefined)
    throw new UsageError('--config or --provider: says where the sessions are')
  const needsOwner = command === 'list' || command === 'end'
  if (needsOwner && flags.owner === undefined) throw new UsageError(`${command}: needs --owner`)
  if (command === 'end' && (flags.handle === undefined) !== flags.all)
    throw new UsageError('end: needs --handle, or --all')
  if (command === 'inspect' && (flags.owner === undefined) !== (flags.handle === undefined))
    throw new UsageError('inspect: needs both --owner and --handle, or an ID by the standard input')
  const unused = Object.entries(uses).find(
    ([flag, by]) =>
      flags[flag as keyof Flags] !== undefined &&
      flags[flag as keyof Flags] !== false &&
      !by.includes(command),
  )
  if (unused !== undefined) throw new UsageError(`--${unused[0]}: ${command} has no use for it`)
  return command
}

/** The commands that an option is for, where it is not for all. */
const uses: Readonly<Partial<Record<keyof Flags, readonly CommandName[]>>> = {
  owner: ['inspect', 'list', 'end'],
  tenant: ['inspect', 'list', 'end'],
  handle: ['inspect', 'end'],
  all: ['end'],
  yes: ['end'],
  values: ['inspect'],
}
