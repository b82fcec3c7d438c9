// Schemas of each library, side by side in one session.
import { type } from 'arktype'
import { expectTypeOf } from 'expect-type'
import {
  registerType,
  SessionManager,
  type Schema,
  type Session,
  type StandardSchemaV1,
} from 'koa-typed-session'
import * as v from 'valibot'
import * as zodMini from 'zod/mini'
import { z } from 'zod'
import { z as zod3 } from 'zod-3'
import { z as zod324 } from 'zod-3.24'
import { z as zod323 } from 'zod-3.23'

class Cart {
  items: string[] = []
}
const own: StandardSchemaV1<Map<string, bigint>> = {
  '~standard': {
    version: 1,
    vendor: 'own',
    validate: (value) => (value instanceof Map ? { value } : { issues: [{ message: 'no map' }] }),
  },
}
const schema = {
  zod: z.object({ id: z.int(), seen: z.date().optional() }),
  instance: z.instanceof(Cart),
  mini: zodMini.array(zodMini.string()),
  zod3: zod3.number().int(),
  zod324: zod324.string().optional(),
  valibot: v.pipe(v.string(), v.minLength(1)),
  instanceOfValibot: v.instance(Cart),
  arktype: type({ name: 'string', 'age?': 'number' }),
  own,
} satisfies Schema
const manager = new SessionManager({ schema })
expectTypeOf(manager.begin()).toEqualTypeOf<
  Session<{
    zod: { id: number; seen?: Date | undefined }
    instance: Cart
    mini: string[]
    zod3: number
    zod324: string | undefined
    valibot: string
    instanceOfValibot: Cart
    arktype: { name: string; age?: number }
    own: Map<string, bigint>
  }>
>()
// @ts-expect-error: zod before 3.24 has no Standard Schema
session({ schema: { old: zod323.string() } })
// @ts-expect-error: one schema for all keys
session({ schema: z.object({ userId: z.int() }) })
// @ts-expect-error: no schema
session({ schema: { userId: Number } })

registerType(Cart, { schema: z.object({ items: z.array(z.string()) }) })
registerType(Cart, { schema: zodMini.object({ items: zodMini.array(zodMini.string()) }) })
registerType(Cart, { schema: zod3.object({ items: zod3.array(zod3.string()) }) })
registerType(Cart, { schema: v.object({ items: v.array(v.string()) }) })
// @ts-expect-error: it lists no fields
registerType(Cart, { schema: z.instanceof(Cart) })
// @ts-expect-error: a type of arktype does not list its fields in that way
registerType(Cart, { schema: type({ items: 'string[]' }) })
