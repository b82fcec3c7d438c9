// What telemetry costs a request: the processor time of the middleware with metrics, and with spans, above that without.
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus'
import { MeterProvider } from '@opentelemetry/sdk-metrics'
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import { SessionManager } from '../src/index.ts'
import { startTelemetry, type TelemetryOptions } from '../src/opentelemetry/index.ts'

const REQUESTS = 20_000
const ROUNDS = 9

const meterProvider = new MeterProvider({ readers: [new PrometheusExporter({ preventServerStart: true })] })
const tracerProvider = new NodeTracerProvider()
const setups: Readonly<Record<string, TelemetryOptions | undefined>> = {
  off: undefined,
  metrics: { meterProvider, tracerProvider: false },
  spans: { meterProvider: false, tracerProvider },
  both: { meterProvider, tracerProvider },
}
const manager = new SessionManager({ provider: 'memory' })
const begun = manager.begin().set('views', 1)
await begun.commit()

const kinds: Readonly<Record<string, () => Promise<unknown>>> = {
  read: async () => (await manager.open(begun.id)).get('views'),
  write: async () => {
    const session = await manager.open(begun.id)
    session.set('views', Math.random())
    return session.commit()
  },
}

const least = new Map<string, number>()
for (let round = 0; round < ROUNDS; round += 1) {
  for (const [setup, options] of Object.entries(setups)) {
    const telemetry = options && startTelemetry(options)
    for (const [kind, request] of Object.entries(kinds)) {
      const before = process.cpuUsage()
      for (let n = 0; n < REQUESTS; n += 1) await request()
      const { user, system } = process.cpuUsage(before)
      const key = `${kind} ${setup}`
      least.set(key, Math.min(least.get(key) ?? Infinity, (user + system) / REQUESTS))
    }
    telemetry?.stop()
  }
}
await meterProvider.shutdown()
await manager.close()

console.log(`µs of processor time for each request, the least of ${ROUNDS} rounds, and what telemetry adds`)
for (const kind of Object.keys(kinds)) {
  const off = least.get(`${kind} off`) ?? 0
  for (const setup of Object.keys(setups)) {
    const us = least.get(`${kind} ${setup}`) ?? 0
    console.log(
      `${kind} ${setup}`.padEnd(16),
      us.toFixed(2).padStart(7),
      `+${(us - off).toFixed(2)}`.padStart(8),
    )
  }
}
