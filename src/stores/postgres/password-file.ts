import { readFileSync, statSync } from 'node:fs'
import { errnoOf, Refusal } from '../shared/errors.ts'
import { refusal } from './refusal.ts'

/** What a line of a password file is chosen by. */
export interface Login {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
}

/** The folders of socket files for which libpq looks for the host `localhost`. */
const DEFAULT_FOLDERS: ReadonlySet<string> = new Set(['/tmp', '/run/postgresql', '/var/run/postgresql'])

/**
 * The password of the first line of a file of libpq that fits, `host:port:database:user:password`. The file is read for each
 * new connection that needs a password, so it may be changed meanwhile.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` if the file cannot be read, or others may read it too, which libpq does not accept
 */
export function passwordFromFile(file: string, login: Login): () => Promise<string> {
  read(file)
  if (process.platform !== 'win32' && (statSync(file).mode & 0o077) !== 0)
    throw refusal('names a file as passfile that its group or others may read: chmod 600')
  return async () => {
    let text: string
    try {
      text = readFileSync(file, 'utf8')
    } catch (error) {
      throw new Refusal(`the passfile cannot be read (${errnoOf(error)})`)
    }
    const password = findPassword(text, login)
    if (password === undefined)
      throw new Refusal('the passfile has no line for this host, port, database and user')
    return password
  }
}

function read(file: string): void {
  try {
    readFileSync(file)
  } catch (error) {
    throw refusal(`names a file as passfile that cannot be read (${errnoOf(error)})`)
  }
}

function findPassword(text: string, { host, port, database, user }: Login): string | undefined {
  const wanted = [DEFAULT_FOLDERS.has(host) ? 'localhost' : host, String(port), database, user]
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('#')) continue
    const fields = fieldsOf(line)
    const password = fields[4]
    if (password === undefined || password === '') continue
    if (wanted.every((value, at) => fields[at] === '*' || unescaped(fields[at] ?? '') === value))
      return unescaped(password)
  }
  return undefined
}

/** Five fields. As in libpq a colon without a backslash ends the password too. */
function fieldsOf(line: string): readonly string[] {
  const fields = [...line.matchAll(/((?:\\.|[^:\\])*)(?::|$)/gy)].map(([, field = '']) => field)
  return fields.slice(0, 5)
}

function unescaped(field: string): string {
  return field.replace(/\\(.)/gs, '$1')
}
