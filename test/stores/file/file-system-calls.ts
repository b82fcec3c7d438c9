import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

/** One call into the file system, not yet made. */
export interface Step {
  readonly name: string
  readonly args: readonly unknown[]
  run(): Promise<unknown>
}

/** From now on `hook` stands between this process and every call that a store makes into `node:fs/promises`. */
export async function intercept(hook: (step: Step) => Promise<unknown>): Promise<void> {
  const handle = await fs.open('/dev/null')
  await handle.close()
  const targets: [object, readonly string[]][] = [
    [fs, Object.keys(fs)],
    [Object.getPrototypeOf(handle), ['sync', 'close']],
  ]
  for (const [target, names] of targets) {
    for (const name of names) {
      const call: unknown = Reflect.get(target, name)
      if (typeof call !== 'function') continue
      async function intercepted(this: unknown, ...args: readonly unknown[]): Promise<unknown> {
        const run = async (): Promise<unknown> => Reflect.apply(Object(call), this, args)
        return hook({ name, args, run })
      }
      Object.defineProperty(target, name, { value: intercepted })
    }
  }
  syncBuiltinESMExports()
}
