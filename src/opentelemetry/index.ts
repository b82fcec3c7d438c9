import type { MeterProvider, TracerProvider } from '@opentelemetry/api'
import { subscribeToMetrics } from './metrics.ts'
import { subscribeToSpans } from './spans.ts'

/** What {@link startTelemetry} measures, and where it sends it. */
export interface TelemetryOptions {
  /** Where the metrics go; `false` for none. Default: the global provider of `@opentelemetry/api`. */
  readonly meterProvider?: MeterProvider | false
  /** Where the spans go; `false` for none. Default: the global provider of `@opentelemetry/api`. */
  readonly tracerProvider?: TracerProvider | false
  /**
   * Whether spans have the attribute `koa_typed_session.handle`, the public name of the session: it opens nothing, but tells which requests
   * belong together. Metrics never have it. Default: `false`.
   */
  readonly handle?: boolean
}

/** What {@link startTelemetry} has begun. */
export interface Telemetry {
  /** Ends it. What was measured so far stays with the providers. */
  stop(): void
}

/**
 * Measures all sessions of this process by OpenTelemetry, from now on: how long openings and commits take, what was stored and ended, and how
 * the stores are. Call it once, after the providers are registered. No ID, no key and no value is told.
 *
 * ```ts
 * import { startTelemetry } from 'koa-typed-session/opentelemetry'
 *
 * const telemetry = startTelemetry()
 * ```
 *
 * The names are those of OpenTelemetry's semantic conventions where it has some: `db.system.name`, `error.type`.
 */
export function startTelemetry(options: TelemetryOptions = {}): Telemetry {
  const { meterProvider, tracerProvider, handle = false } = options
  const stops = [
    ...(meterProvider === false ? [] : [subscribeToMetrics(meterProvider)]),
    ...(tracerProvider === false ? [] : [subscribeToSpans(tracerProvider, handle)]),
  ]
  return {
    stop: () => {
      for (const stop of stops.splice(0)) stop()
    },
  }
}
