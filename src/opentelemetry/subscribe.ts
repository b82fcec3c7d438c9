import { traces, type TracedOperation } from '../session/tracing.ts'

/** The operations that are told of. */
export type OperationName = keyof typeof traces

export const operations: readonly OperationName[] = ['open', 'commit', 'destroy']

/** What is called when an operation begins and when it is over. */
export interface OperationListener {
  readonly start?: (operation: TracedOperation) => void
  readonly end: (operation: TracedOperation) => void
}

/** Listens to one kind of operation. Returns what ends this. */
export function onOperation(name: OperationName, { start, end }: OperationListener): () => void {
  const channel = traces[name]
  const onStart = start as ((operation: unknown) => void) | undefined
  const onEnd = end as (operation: unknown) => void
  if (onStart !== undefined) channel.start.subscribe(onStart)
  channel.asyncEnd.subscribe(onEnd)
  return () => {
    if (onStart !== undefined) channel.start.unsubscribe(onStart)
    channel.asyncEnd.unsubscribe(onEnd)
  }
}
