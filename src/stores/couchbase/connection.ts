import type { Cluster, Collection } from 'couchbase'
import type { CouchbaseConfig } from './config.ts'
import { CouchbaseError } from './errors.ts'
import { askManager } from './node-lookup.ts'
import type { CouchbasePlace, CouchbaseSettings } from './options.ts'
import { driverError } from '../shared/driver.ts'
import { refusedError, storeError } from '../shared/errors.ts'

/** The collection of the sessions, and the cluster that was connected to for it. */
export class CouchbaseConnection {
  readonly collection: Collection
  readonly #own: Cluster | undefined

  private constructor(collection: Collection, own: Cluster | undefined) {
    this.collection = collection
    this.#own = own
  }

  /** Connects; rejects if the cluster refuses the user or the bucket is missing. */
  static async open({ target, timeout }: CouchbaseSettings): Promise<CouchbaseConnection> {
    if ('insert' in target) return new CouchbaseConnection(target, undefined)
    if ('client' in target) {
      await openBucket(target.client, target.bucket)
      return new CouchbaseConnection(collectionIn(target), undefined)
    }
    const cluster = await connect(target, timeout)
    try {
      await openBucket(cluster, target.bucket)
      return new CouchbaseConnection(collectionIn({ ...target, client: cluster }), cluster)
    } catch (error) {
      await cluster.close()
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#own?.close()
  }
}

async function connect(address: CouchbaseConfig, timeout: number): Promise<Cluster> {
  const { username, password } = address
  const driver = await loadDriver()
  const cluster = address.cluster ?? (await askManager(address, timeout))
  const timeouts = { kvTimeout: timeout, connectTimeout: timeout, bootstrapTimeout: timeout }
  try {
    return await driver.connect(cluster, { username, password, timeouts })
  } catch (error) {
    throw new CouchbaseError(error)
  }
}

/**
 * Opens the bucket by a method that the driver does not document. Otherwise the driver opens it in the background, and
 * reports a failure only on the console.
 */
async function openBucket(cluster: Cluster, bucket: string): Promise<void> {
  const connection: unknown = Reflect.get(cluster, 'conn')
  if (typeof connection !== 'object' || connection === null || !('openBucket' in connection)) return
  const { openBucket: open } = connection
  if (typeof open !== 'function') return
  await new Promise<void>((resolve, reject) => {
    Reflect.apply(open, connection, [
      bucket,
      (cause: unknown) => {
        if (cause === null || cause === undefined) return resolve()
        const missing = cause instanceof Error && cause.message.startsWith('bucket_not_found')
        const reason = missing ? 'there is no such bucket' : 'the bucket cannot be opened'
        const failure = missing ? refusedError : storeError
        reject(failure('couchbase', `${reason}, or this user may not use it`, cause))
      },
    ])
  })
}

function collectionIn({ client, bucket, scope, collection }: CouchbasePlace): Collection {
  return client.bucket(bucket).scope(scope).collection(collection)
}

async function loadDriver(): Promise<typeof import('couchbase')> {
  try {
    return await import('couchbase')
  } catch (error) {
    throw driverError('couchbase', error)
  }
}
