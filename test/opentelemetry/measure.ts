import { context, trace } from '@opentelemetry/api'
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus'
import { MeterProvider } from '@opentelemetry/sdk-metrics'
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'
import type { ExecutionContext } from 'ava'
import { startTelemetry } from '../../src/opentelemetry/index.ts'

/** One run of telemetry with the real SDK. All managers of the process are told of, so tests run one after another. */
export function measure(t: ExecutionContext, options: { handle?: boolean } = {}) {
  const exporter = new PrometheusExporter({ preventServerStart: true })
  const meterProvider = new MeterProvider({ readers: [exporter] })
  const spans = new InMemorySpanExporter()
  const tracerProvider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] })
  tracerProvider.register()
  const telemetry = startTelemetry({ meterProvider, tracerProvider, ...options })
  t.teardown(async () => {
    telemetry.stop()
    trace.disable()
    context.disable()
    await meterProvider.shutdown()
    await tracerProvider.shutdown()
  })
  /** What Prometheus would be told. */
  const page = async (): Promise<string> =>
    new Promise((resolve, reject) => {
      const response = { statusCode: 0, setHeader: () => response, end: resolve }
      exporter.getMetricsRequestHandler({} as never, response as never)
      setTimeout(reject, 10_000).unref()
    })
  /** The sum of the samples of one name, of those that have all of `labels`. */
  const value = async (name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> => {
    const wanted = Object.entries(labels).map(([label, text]) => `${label}="${text}"`)
    const lines = (await page()).split('\n').filter((line) => line.startsWith(`koa_typed_session_${name}{`))
    const fitting = lines.filter((line) => wanted.every((each) => line.includes(each)))
    return fitting.reduce((sum, line) => sum + Number(/\} (\S+)/.exec(line)?.[1]), 0)
  }
  return { telemetry, spans, page, value, tracer: tracerProvider.getTracer('test') }
}
