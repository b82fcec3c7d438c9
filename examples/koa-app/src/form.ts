import { bodyParser } from '@koa/bodyparser'

/** Reads the bodies of HTML forms, and of nothing else. */
export const readForm: ReturnType<typeof bodyParser> = bodyParser({
  enableTypes: ['form'],
  formLimit: '16kb',
})

/** The text of one field of the form that was sent; empty if it is missing or no text. */
export function field(ctx: { readonly request: { readonly body?: unknown } }, name: string): string {
  const { body } = ctx.request
  if (typeof body !== 'object' || body === null || !Object.hasOwn(body, name)) return ''
  const value: unknown = Object.getOwnPropertyDescriptor(body, name)?.value
  return typeof value === 'string' ? value : ''
}
