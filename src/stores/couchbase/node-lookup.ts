import { SessionError } from '../../errors.ts'
import type { CouchbaseConfig } from './config.ts'

/** A node, as a manager tells of it. Where its host is not told, it is the one that was asked. */
interface Node {
  readonly hostname?: unknown
  readonly services?: { readonly kv?: unknown; readonly kvSSL?: unknown }
}

/**
 * Asks the manager of a cluster where its nodes serve documents, and returns that as an address for the driver.
 *
 * @throws SessionError `ERR_SESSION_STORE` if it is not there, refuses us, or knows no such bucket
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
  if (status === 401 || status === 403) throw failed('the server refuses user and password')
  if (status === 404) throw failed(`there is no bucket '${bucket}', or not for this user`)
  if (status !== 200) throw failed(`the manager answered with status ${status}`)
  const isSecure = manager.startsWith('https:')
  const { hostname } = new URL(manager)
  const nodes = nodesIn(text).flatMap(({ hostname: host = hostname, services }) => {
    const port = isSecure ? services?.kvSSL : services?.kv
    return typeof port === 'number' && typeof host === 'string' ? [`${host}:${port}`] : []
  })
  if (nodes.length === 0)
    throw failed('what answers there is no manager of a cluster, or one without data nodes')
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
    throw new SessionError(
      'ERR_SESSION_STORE',
      `couchbase: the manager at ${new URL(url).host} does not answer`,
      {
        cause,
      },
    )
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

function failed(reason: string): SessionError {
  return new SessionError('ERR_SESSION_STORE', `couchbase: ${reason}`)
}
