import type { SessionError } from '../../errors.ts'
import { optionError, percentDecoded } from '../shared/options.ts'

/** A cluster, the credentials for it, and the place of the sessions in it. */
export interface CouchbaseConfig {
  /** The connection string for the driver, if it is known: `couchbase://a,b:11210?network=external`. */
  readonly cluster?: string
  /** Otherwise the cluster manager that knows it: `http://a:8091`. */
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
 * Parses a `couchbase:` URL, or one of the three forms of beego: the URL of a cluster manager, the same followed by pool and
 * bucket, and JSON.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS`, which says what is wrong but never repeats the string
 */
export function parseCouchbaseConfig(config: string): CouchbaseConfig {
  const text = config.trim()
  if (text === '') throw malformed('the address is empty')
  if (text.startsWith('{')) return fromJson(text)
  if (/^https?:/.test(text)) {
    const [url = '', pool, bucket, ...rest] = text.split(',').map((part) => part.trim())
    if (rest.length > 0) throw malformed('there is text after the bucket')
    return fromManager(url, pool, bucket)
  }
  return fromDriver(text)
}

function fromDriver(text: string): CouchbaseConfig {
  const [, scheme, user, word, hosts = '', path = '', query = ''] = DRIVER.exec(text) ?? []
  if (!HOSTS.test(hosts)) throw malformed('the address is malformed')
  const [bucket = '', scope = '_default', collection = '_default', ...rest] = path.split('/').map(decoded)
  if (rest.length > 0) throw malformed('there is text after the collection')
  const where = named({ bucket, scope, collection })
  const who = named({ username: decoded(user), password: decoded(word) })
  return { cluster: `${scheme}://${hosts}${query}`, ...who, ...where }
}

function fromManager(text: string, pool = '', bucket = ''): CouchbaseConfig {
  if (!URL.canParse(text)) throw malformed('the address is malformed')
  const url = new URL(text)
  if (pool !== '' && pool !== 'default') throw malformed("the pool is not 'default', the only one there is")
  if (!/^(\/|\/pools\/?)$/.test(url.pathname) || url.search !== '' || url.hash !== '') {
    throw malformed('there is text after the port')
  }
  const [username, password] = [decoded(url.username), decoded(url.password)]
  const who = named({ username, password })
  // In old versions a bucket had a password and there were no users, so beego's documentation writes the bucket as the user.
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
  return percentDecoded(text, () => malformed('the address has a % that begins no %XX'))
}

/** The names, if none of them is empty. */
function named<T extends Readonly<Record<string, string>>>(names: T): T {
  const [missing] = Object.entries(names).find(([, text]) => text === '') ?? []
  if (missing === undefined) return names
  throw malformed(`the address names no ${missing}`)
}

function malformed(what: string): SessionError {
  return optionError('couchbase', `${what}; expected ${EXAMPLES.join(', ')}`)
}
