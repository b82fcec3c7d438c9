import {
  SpanKind,
  SpanStatusCode,
  trace,
  type Span,
  type Tracer,
  type TracerProvider,
} from '@opentelemetry/api'
import { SessionError } from '../errors.ts'
import type { TracedOperation } from '../session/tracing.ts'
import { attributesOf, errorType, PREFIX } from './attributes.ts'
import { onOperation, operations, type OperationName } from './subscribe.ts'

/** Where the span of an operation is kept until it is over. */
const SPAN = Symbol('span')

interface Spanned extends TracedOperation {
  [SPAN]?: { readonly tracer: Tracer; readonly span: Span }
}

/** A span for each operation that asks the store. Returns what ends this. */
export function subscribeToSpans(
  provider: TracerProvider = trace.getTracerProvider(),
  withHandle: boolean,
): () => void {
  const tracer = provider.getTracer('koa-typed-session')
  const stops = operations.map((name) =>
    onOperation(name, {
      start: (operation: Spanned) => begin(operation, tracer, name),
      end: (operation: Spanned) => {
        const begun = operation[SPAN]
        if (begun?.tracer === tracer) end(operation, begun.span, withHandle)
      },
    }),
  )
  return () => {
    for (const stop of stops) stop()
  }
}

function begin(operation: Spanned, tracer: Tracer, name: OperationName): void {
  const attributes = attributesOf(operation.manager)
  const span = tracer.startSpan(`session ${name}`, { kind: SpanKind.INTERNAL, attributes })
  operation[SPAN] = { tracer, span }
}

function end(operation: TracedOperation, span: Span, withHandle: boolean): void {
  const { handle, bytes, tries, outcome, error } = operation
  if (withHandle && handle !== undefined) span.setAttribute(`${PREFIX}.handle`, handle)
  if (bytes !== undefined) span.setAttribute(`${PREFIX}.payload.size`, bytes)
  if (tries !== undefined) span.setAttribute(`${PREFIX}.tries`, tries)
  if (outcome === undefined) {
    span.setAttribute('error.type', errorType(error))
    // Our messages hold nothing secret. One of the program, whose function an update runs again, might.
    span.setStatus({
      code: SpanStatusCode.ERROR,
      ...(error instanceof SessionError && { message: error.message }),
    })
  } else span.setAttribute(`${PREFIX}.outcome`, outcome)
  span.end()
}
