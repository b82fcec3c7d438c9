import { bodyParser } from '@koa/bodyparser'

/** Parses request bodies of HTML forms only. */
export const readForm: ReturnType<typeof bodyParser> = bodyParser({
  enableTypes: ['form'],
  formLimit: '16kb',
})

/** The value of a field of the submitted form; empty if it is missing or not a string. */
export function field(ctx: { readonly request: { readonly body?: unknown } }, name: string): string {
  const { body } = ctx.request
  if (typeof body !== 'object' || body === null || !Object.hasOwn(body, name)) return ''
  const value: unknown = Object.getOwnPropertyDescriptor(body, name)?.value
  return typeof value === 'string' ? value : ''
}
