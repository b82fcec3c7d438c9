import type { Cluster, Collection } from 'couchbase'
import { SessionError } from '../../errors.ts'
import type { CouchbaseStoreOptions } from '../couchbase.ts'
import { parseCouchbaseConfig, type CouchbaseConfig } from './config.ts'

/** A place in a cluster that somebody else has connected to. */
export interface CouchbasePlace {
  readonly client: Cluster
  readonly bucket: string
  readonly scope: string
  readonly collection: string
}

/** The settings, checked and complete. */
export interface CouchbaseSettings {
  readonly target: CouchbaseConfig | CouchbasePlace | Collection
  readonly prefix: string
  readonly timeout: number
  readonly now: () => number
}

/** @throws SessionError `ERR_SESSION_OPTIONS` if a setting is wrong */
export function couchbaseSettings(options: CouchbaseStoreOptions): CouchbaseSettings {
  const { prefix = 'session:', timeout = 5_000, now = Date.now } = options
  if (!/^[!-~]{0,100}$/.test(prefix)) {
    throw wrong('prefix must be printable ASCII without spaces, up to 100 characters')
  }
  if (!Number.isSafeInteger(timeout) || timeout < 1)
    throw wrong('timeout must be a whole number of at least 1')
  return { target: targetOf(options), prefix, timeout, now }
}

function targetOf(options: CouchbaseStoreOptions): CouchbaseConfig | CouchbasePlace | Collection {
  const { url, client, bucket, scope, collection } = options
  const place = bucket ?? scope ?? collection
  if (client === undefined && url !== undefined) {
    if (place === undefined) return parseCouchbaseConfig(url)
    throw wrong('bucket, scope and collection stand in the url')
  }
  if (client === undefined || url !== undefined) throw wrong('give either url or client')
  if ('insert' in client) {
    if (place === undefined) return client
    throw wrong('bucket, scope and collection go with a client that is a Cluster')
  }
  if (bucket === undefined || bucket === '') throw wrong('client is a Cluster: bucket must be given')
  return { client, bucket, scope: scope ?? '_default', collection: collection ?? '_default' }
}

function wrong(what: string): SessionError {
  return new SessionError('ERR_SESSION_OPTIONS', `couchbase: ${what}`)
}
