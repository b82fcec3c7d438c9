import { SessionError } from '../../errors.ts'

/** Which cluster, who we are to it, and where in it the sessions are kept. */
export interface CouchbaseConfig {
  /** For the driver, if it is known: `couchbase://a,b:11210?network=external`. */
  readonly cluster?: string
  /** Else who knows: the manager of a node, `http://a:8091`. */
  readonly manager?: string
  readonly username: string
  readonly password: string
  readonly bucket: string
  readonly scope: string
  readonly collection: string
}

const DRIVER = /^(couchbases?):\/\/(?:([^:@/?#]+):([^@/?#]+)@)([^@/?#]+)\/([^?#]+?)\/?(\?[^#]*)?$/
const HOSTS = /^(?:\[[\da-f:.]+\]|[\w.-]+)(?::\d{1,5})?(?:,(?:\[[\da-f:.]+\]|[\w.-]+)(?::\d{1,5})?)*$/i
const EXAMPLES = [
  "'couchbase://user:password@host/bucket'",
  "'http://bucket:password@host:8091'",
  "'http://user:password@host:8091,default,bucket'",
]

/**
 * Reads a URL of ours, or one of the three forms that beego knows: the URL of a manager, the same with pool and bucket
 * behind it, and JSON.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS`, which tells what is missing but never repeats the string
 */
export function parseCouchbaseConfig(config: string): CouchbaseConfig {
  const text = config.trim()
  if (text === '') throw malformed('the address is empty')
  if (text.startsWith('{')) return fromJson(text)
  if (/^https?:/.test(text)) {
    const [url = '', pool, bucket, ...rest] = text.split(',').map((part) => part.trim())
    if (rest.length > 0) throw malformed('there is something behind the bucket')
    return fromManager(url, pool, bucket)
  }
  return fromDriver(text)
}

function fromDriver(text: string): CouchbaseConfig {
  const [, scheme, user, word, hosts = '', path = '', query = ''] = DRIVER.exec(text) ?? []
  if (!HOSTS.test(hosts)) throw malformed('the address is malformed')
  const [bucket = '', scope = '_default', collection = '_default', ...rest] = path.split('/').map(decoded)
  if (rest.length > 0) throw malformed('there is something behind the collection')
  const where = named({ bucket, scope, collection })
  const who = named({ username: decoded(user), password: decoded(word) })
  return { cluster: `${scheme}://${hosts}${query}`, ...who, ...where }
}

function fromManager(text: string, pool = '', bucket = ''): CouchbaseConfig {
  if (!URL.canParse(text)) throw malformed('the address is malformed')
  const url = new URL(text)
  if (pool !== '' && pool !== 'default') throw malformed("the pool is not 'default', the only one there is")
  if (!/^(\/|\/pools\/?)$/.test(url.pathname) || url.search !== '' || url.hash !== '') {
    throw malformed('there is something behind the port')
  }
  const [username, password] = [decoded(url.username), decoded(url.password)]
  const who = named({ username, password })
  // Once a bucket had a password and no user, and beego's documentation writes it where others write the user.
  const where = named({ bucket: bucket === '' ? username : bucket })
  const port = url.port === '' ? (url.protocol === 'http:' ? '8091' : '18091') : url.port
  const manager = `${url.protocol}//${url.hostname}:${port}`
  return { manager, ...who, ...where, scope: '_default', collection: '_default' }
}

function fromJson(text: string): CouchbaseConfig {
  const settings = new Map<string, unknown>()
  try {
    for (const [name, value] of Object.entries(Object(JSON.parse(text)))) settings.set(name, value)
  } catch {
    throw malformed('the JSON is malformed')
  }
  const [url, pool, bucket] = ['save_path', 'pool', 'bucket'].map((name) => {
    const value = settings.get(name) ?? ''
    settings.delete(name)
    if (typeof value === 'string') return value
    throw malformed(`${name} in the JSON is not a string`)
  })
  if (settings.size > 0) throw malformed('the JSON has other fields than save_path, pool and bucket')
  return fromManager(url ?? '', pool, bucket)
}

function decoded(text = ''): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw malformed('the address has a % that begins no %XX')
  }
}

/** The same, once none of them is empty. */
function named<T extends Readonly<Record<string, string>>>(names: T): T {
  const [missing] = Object.entries(names).find(([, text]) => text === '') ?? []
  if (missing === undefined) return names
  throw malformed(`the address names no ${missing}`)
}

function malformed(what: string): SessionError {
  return new SessionError('ERR_SESSION_OPTIONS', `couchbase: ${what}; expected ${EXAMPLES.join(', ')}`)
}
