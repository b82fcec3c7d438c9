import type { Cluster, Collection } from 'couchbase'
import {
  assertClient,
  assertFunction,
  assertOptions,
  assertPrefix,
  assertTimeout,
  optionError,
  type OptionNames,
  PREFIX,
  sourceError,
  TIMEOUT,
} from '../shared/options.ts'
import { parseCouchbaseConfig, type CouchbaseConfig } from './config.ts'

/** Options of the `CouchbaseStore`: `url` or `client`, and what differs from the defaults. */
export interface CouchbaseStoreOptions {
  /**
   * `couchbase://user:password@host,host/bucket`, or `couchbases:` for TLS. `/scope/collection` may follow, and options
   * of the driver: `?network=external`. The config strings of beego are accepted too.
   */
  readonly url?: string
  /** A `Cluster` or a `Collection` of the driver. The store never closes it. */
  readonly client?: Cluster | Collection
  /** If `client` is a `Cluster`: the bucket of the sessions. Required then. */
  readonly bucket?: string
  /** If `client` is a `Cluster`: the scope of the sessions. Default: `_default`. */
  readonly scope?: string
  /** If `client` is a `Cluster`: the collection of the sessions. Default: `_default`. */
  readonly collection?: string
  /** The prefix of every key: printable ASCII without spaces, up to 100 characters. Default: `session:`. */
  readonly prefix?: string
  /** How long a verb may take, in ms. Default: 5,000. */
  readonly timeout?: number
  /** The clock, in ms since the epoch. Default: `Date.now`. */
  readonly now?: () => number
}

/** A collection in a cluster that the application has connected to. */
export interface CouchbasePlace {
  readonly client: Cluster
  readonly bucket: string
  readonly scope: string
  readonly collection: string
}

/** The options, checked and with their defaults. */
export interface CouchbaseSettings {
  readonly target: CouchbaseConfig | CouchbasePlace | Collection
  readonly prefix: string
  readonly timeout: number
  readonly now: () => number
}

const OPTIONS: OptionNames<CouchbaseStoreOptions> = {
  url: true,
  client: true,
  bucket: true,
  scope: true,
  collection: true,
  prefix: true,
  timeout: true,
  now: true,
}

/** @throws SessionError `ERR_SESSION_OPTIONS` if an option is wrong */
export function couchbaseSettings(options: CouchbaseStoreOptions): CouchbaseSettings {
  assertOptions('couchbase', options, OPTIONS)
  const { prefix = PREFIX, timeout = TIMEOUT, now = Date.now } = options
  assertPrefix('couchbase', prefix)
  assertTimeout('couchbase', timeout)
  assertFunction('couchbase', 'now', now)
  return { target: targetOf(options), prefix, timeout, now }
}

function targetOf(options: CouchbaseStoreOptions): CouchbaseConfig | CouchbasePlace | Collection {
  const { url, client, bucket, scope, collection } = options
  const place = bucket ?? scope ?? collection
  if (client === undefined && url !== undefined) {
    if (place === undefined) return parseCouchbaseConfig(url)
    throw optionError('couchbase', 'bucket, scope and collection belong into the url')
  }
  if (client === undefined || url !== undefined) throw sourceError('couchbase')
  const isCollection = typeof client === 'object' && client !== null && 'insert' in client
  const shape = isCollection ? ({ insert: 'function' } as const) : ({ bucket: 'function' } as const)
  assertClient('couchbase', client, shape, 'a Cluster or a Collection of the package couchbase')
  if ('insert' in client) {
    if (place === undefined) return client
    throw optionError('couchbase', 'client is a Collection: omit bucket, scope and collection')
  }
  if (bucket === undefined || bucket === '')
    throw optionError('couchbase', 'client is a Cluster: bucket must be given')
  return { client, bucket, scope: scope ?? '_default', collection: collection ?? '_default' }
}
