import { readFileSync } from 'node:fs'
import type { Middleware } from 'koa'

const files = new Map(
  ['/style.css', '/icon.svg'].map((path) => [
    path,
    readFileSync(new URL(`../public${path}`, import.meta.url)),
  ]),
)

/** Serves the style sheet and the icon. Mounted before the session, which they do not need. */
export const assets: Middleware = async function assets(ctx, next) {
  const file = files.get(ctx.path)
  if (file === undefined) {
    await next()
    return
  }
  ctx.type = ctx.path.slice(ctx.path.lastIndexOf('.'))
  ctx.set('Cache-Control', 'public, max-age=300')
  ctx.body = file
}
