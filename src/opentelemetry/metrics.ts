import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { metrics, type Attributes, type Histogram, type Meter, type MeterProvider } from '@opentelemetry/api'
import type { PublishedEvent } from '../session/events.ts'
import type { ManagerStatus } from '../session/tracing.ts'
import { attributesOf, errorType, nameOf, PREFIX, withOutcome } from './attributes.ts'
import { onOperation, operations } from './subscribe.ts'

/** In seconds. A read of a near store takes less than a millisecond, and no operation more than its timeout. */
const SECONDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]
const TRIES = [1, 2, 3, 5, 10, 20, 50]
const BYTES = [128, 256, 512, 1_024, 2_048, 4_096, 16_384, 65_536, 262_144, 1_048_576]

/** The events that should be rare: each is worth a look. */
const NOTICES: ReadonlySet<PublishedEvent['type']> = new Set([
  'retired-id',
  'several-sessions',
  'origin-refused',
  'decode-failed',
  'cookie-not-sent',
  'owner-repaired',
  'sign-in-refused',
])

/** Records metrics. Returns what ends this. */
export function subscribeToMetrics(provider: MeterProvider = metrics.getMeterProvider()): () => void {
  const meter = provider.getMeter('koa-typed-session')
  const stores = new WatchedStores(meter)
  const stops = [observeOperations(meter, stores), countEvents(meter), () => stores.stop()]
  return () => {
    for (const stop of stops) stop()
  }
}

function histogram(
  meter: Meter,
  name: string,
  unit: string,
  description: string,
  buckets: number[],
): Histogram {
  return meter.createHistogram(`${PREFIX}.${name}`, {
    unit,
    description,
    advice: { explicitBucketBoundaries: buckets },
  })
}

function observeOperations(meter: Meter, stores: WatchedStores): () => void {
  const durations = {
    open: histogram(
      meter,
      'open.duration',
      's',
      'How long it takes to open the session of a request',
      SECONDS,
    ),
    commit: histogram(
      meter,
      'commit.duration',
      's',
      'How long it takes to store changes, or a longer life',
      SECONDS,
    ),
    destroy: histogram(meter, 'destroy.duration', 's', 'How long it takes to end a session', SECONDS),
  }
  const tries = histogram(
    meter,
    'commit.tries',
    '{try}',
    'How often changes were sent until they were stored',
    TRIES,
  )
  const sizes = histogram(meter, 'payload.size', 'By', 'The size of the payloads that were stored', BYTES)
  const created = meter.createCounter(`${PREFIX}.sessions.created`, {
    unit: '{session}',
    description: 'Sessions that were begun',
  })
  const stops = operations.map((name) => {
    const duration = durations[name]
    return onOperation(name, {
      start: ({ manager }) => stores.add(manager),
      end: ({ manager, startedAt, outcome, tries: times, bytes, error }) => {
        const seconds = (performance.now() - startedAt) / 1_000
        if (outcome === undefined)
          duration.record(seconds, { ...attributesOf(manager), 'error.type': errorType(error) })
        else duration.record(seconds, withOutcome(manager, outcome))
        if (times === undefined || bytes === undefined) return
        const named = nameOf(manager)
        tries.record(times, named)
        sizes.record(bytes, named)
        if (outcome === 'created') created.add(1, attributesOf(manager))
      },
    })
  })
  return () => {
    for (const stop of stops) stop()
  }
}

function countEvents(meter: Meter): () => void {
  const counter = (name: string, unit: string, description: string) =>
    meter.createCounter(`${PREFIX}.${name}`, { unit, description })
  const ended = counter('sessions.ended', '{session}', 'Sessions that ended, by the reason')
  const conflicts = counter('conflicts', '{conflict}', 'Changes that met those of another request')
  const failures = counter('store.failures', '{call}', 'Calls that the store failed at, or refused')
  const refusals = counter('store.refusals', '{call}', 'Calls that did not reach the store')
  const notices = counter('notices', '{event}', 'Events that should be rare, by their type')

  const onEvent = (message: unknown): void => {
    const event = message as PublishedEvent
    const by = (name: string, value: string): Attributes => ({
      ...attributesOf(event.manager),
      [`${PREFIX}.${name}`]: value,
    })
    if (NOTICES.has(event.type)) notices.add(1, by('type', event.type))
    else if (event.type === 'destroyed' || event.type === 'expired' || event.type === 'unlisted')
      ended.add(1, by('reason', event.type))
    else if (event.type === 'ended') ended.add(event.sessions, by('reason', `ended-${event.reason}`))
    else if (event.type === 'swept') ended.add(event.removed, by('reason', 'swept'))
    else if (event.type === 'conflict') conflicts.add(1, by('outcome', event.outcome))
    else if (event.type === 'gone') conflicts.add(1, by('outcome', 'gone'))
    else if (event.type === 'store-failed')
      failures.add(1, {
        ...by('verb', event.verb),
        'error.type': errorType(event.error),
        [`${PREFIX}.answered`]: event.error.answered,
      })
    else if (event.type === 'store-refused')
      refusals.add(1, { ...by('verb', event.verb), [`${PREFIX}.reason`]: event.reason })
  }
  subscribe('koa-typed-session:notable', onEvent)
  return () => void unsubscribe('koa-typed-session:notable', onEvent)
}

/** Gauges of the stores of all managers that have opened, stored or ended a session since. */
class WatchedStores {
  readonly #managers = new Set<WeakRef<ManagerStatus>>()
  readonly #known = new WeakSet<ManagerStatus>()
  #latest: ManagerStatus | undefined
  readonly stop: () => void

  constructor(meter: Meter) {
    const pending = meter.createObservableGauge(`${PREFIX}.store.pending`, {
      unit: '{call}',
      description: 'Calls that wait for the store',
    })
    const circuit = meter.createObservableGauge(`${PREFIX}.store.circuit`, {
      description: '1 while calls are refused after several failures in a row, else 0',
    })
    const observe: Parameters<Meter['addBatchObservableCallback']>[0] = (result) => {
      for (const value of this.#values()) {
        result.observe(pending, value.pending, value.attributes)
        result.observe(circuit, value.isOpen ? 1 : 0, value.attributes)
      }
    }
    meter.addBatchObservableCallback(observe, [pending, circuit])
    this.stop = () => meter.removeBatchObservableCallback(observe, [pending, circuit])
  }

  add(manager: ManagerStatus): void {
    if (manager === this.#latest) return
    this.#latest = manager
    if (!this.#known.has(manager)) this.#managers.add(new WeakRef(manager))
    this.#known.add(manager)
  }

  /** One value for each name and store: several managers may share both. */
  #values(): Iterable<{
    readonly attributes: Attributes
    readonly pending: number
    readonly isOpen: boolean
  }> {
    const values = new Map<string, { attributes: Attributes; pending: number; isOpen: boolean }>()
    for (const reference of this.#managers) {
      const manager = reference.deref()
      if (manager === undefined) {
        this.#managers.delete(reference)
        continue
      }
      const key = JSON.stringify([manager.store, manager.name])
      const value = values.get(key)
      values.set(key, {
        attributes: attributesOf(manager),
        pending: manager.pending + (value?.pending ?? 0),
        isOpen: manager.breaker !== 'closed' || value?.isOpen === true,
      })
    }
    return values.values()
  }
}
