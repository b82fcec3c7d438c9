/**
 * A value that may be read and not changed, down to its last part: objects, arrays and tuples with read-only properties, Maps and
 * Sets without the methods that change them. Functions, dates and bytes keep their types.
 */
export type DeepReadonly<T> = unknown extends T
  ? T // unknown, and any
  : T extends
        | string
        | number
        | bigint
        | boolean
        | symbol
        | null
        | undefined
        | Date
        | RegExp
        | ArrayBufferView
        | ((...args: never) => unknown)
    ? T
    : T extends ReadonlyMap<infer K, infer V>
      ? Map<K, V> extends T
        ? ReadonlyMap<DeepReadonly<K>, DeepReadonly<V>>
        : ReadonlyMap<DeepReadonly<K>, DeepReadonly<V>> & DeepReadonly<Omit<T, keyof Map<K, V>>>
      : T extends ReadonlySet<infer M>
        ? Set<M> extends T
          ? ReadonlySet<DeepReadonly<M>>
          : ReadonlySet<DeepReadonly<M>> & DeepReadonly<Omit<T, keyof Set<M>>>
        : { readonly [P in keyof T]: DeepReadonly<T[P]> }
