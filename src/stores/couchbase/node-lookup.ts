import { refusedError, storeError } from '../shared/errors.ts'
import type { CouchbaseConfig } from './config.ts'

/** A node in the answer of the cluster manager. Without a host name it is the node that was asked. */
interface Node {
  readonly hostname?: unknown
  readonly services?: { readonly kv?: unknown; readonly kvSSL?: unknown }
}

/**
 * Asks the cluster manager for the data nodes of the bucket, and returns their addresses as a connection string for the
 * driver.
 *
 * @throws SessionError `ERR_SESSION_STORE` if the manager is down, refuses the user, or has no such bucket
 */
export async function askManager(
  { manager = '', username, password, bucket }: CouchbaseConfig,
  timeout: number,
): Promise<string> {
  const basic = Buffer.from(`${username}:${password}`).toString('base64')
  const { status, text } = await request(
    `${manager}/pools/default/b/${encodeURIComponent(bucket)}`,
    basic,
    timeout,
  )
  if (status === 401 || status === 403)
    throw refusedError('couchbase', 'the server refuses this user and password')
  if (status === 404) throw refusedError('couchbase', 'there is no such bucket, or this user may not use it')
  if (status !== 200) throw refusedError('couchbase', `the manager answered with status ${status}`)
  const isSecure = manager.startsWith('https:')
  const { hostname } = new URL(manager)
  const nodes = nodesIn(text).flatMap(({ hostname: host = hostname, services }) => {
    const port = isSecure ? services?.kvSSL : services?.kv
    return typeof port === 'number' && typeof host === 'string' ? [`${host}:${port}`] : []
  })
  if (nodes.length === 0)
    throw refusedError('couchbase', 'the address is not that of a cluster manager with data nodes')
  return `${isSecure ? 'couchbases' : 'couchbase'}://${nodes.join(',')}`
}

async function request(
  url: string,
  basic: string,
  timeout: number,
): Promise<{ readonly status: number; readonly text: string }> {
  const signal = AbortSignal.timeout(timeout)
  try {
    const response = await fetch(url, {
      headers: { authorization: `Basic ${basic}` },
      redirect: 'error',
      signal,
    })
    return { status: response.status, text: await response.text() }
  } catch (cause) {
    throw storeError('couchbase', `the manager at ${new URL(url).host} does not answer`, cause)
  }
}

function nodesIn(text: string): readonly Node[] {
  try {
    const { nodesExt } = Object(JSON.parse(text))
    return Array.isArray(nodesExt) ? nodesExt.map((node: unknown): Node => Object(node)) : []
  } catch {
    return []
  }
}
