// An identity provider on loopback: OAuth 2 with PKCE, and OpenID Connect. Everyone is Ann.
import { createHash, randomUUID } from 'node:crypto'
import Koa from 'koa'
import { bodyParser } from './packages.ts'

/** A log-in that was begun: what its token request must fit. */
interface Begun {
  readonly challenge: string | undefined
  readonly nonce: string | undefined
}

/** The provider as a Koa application; `issuer` is what its tokens name. */
export function providerApp(issuer: () => string): Koa {
  const begun = new Map<string, Begun>()
  const app = new Koa()
  app.use(bodyParser())
  app.use((ctx) => {
    if (ctx.path === '/authorize') {
      const { redirect_uri: back, state, code_challenge: challenge, nonce } = ctx.query
      const code = randomUUID()
      begun.set(code, { challenge: textOf(challenge), nonce: textOf(nonce) })
      const url = new URL(String(back))
      url.searchParams.set('code', code)
      if (state !== undefined) url.searchParams.set('state', String(state))
      ctx.redirect(url.href)
      return
    }
    const { code = '', code_verifier: verifier } = ctx.request.body as Record<string, string | undefined>
    const login = begun.get(code)
    begun.delete(code)
    const isProven =
      login?.challenge === undefined ||
      createHash('sha256')
        .update(verifier ?? '')
        .digest('base64url') === login.challenge
    if (login === undefined || !isProven) {
      ctx.status = 400
      ctx.body = { error: 'invalid_grant' }
      return
    }
    const now = Math.floor(Date.now() / 1000)
    const claims = {
      iss: issuer(),
      sub: 'ann',
      aud: 'client',
      iat: now,
      exp: now + 60,
      ...(login.nonce !== undefined && { nonce: login.nonce }),
    }
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    ctx.body = {
      access_token: 'token of ann',
      token_type: 'bearer',
      id_token: `${part({ alg: 'none' })}.${part(claims)}.`,
    }
  })
  return app
}

function textOf(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}
