// What is compared: a library with an engine, and the framework whose own cost is taken off.

export interface Kind {
  readonly library: string
  /** For `bare` the framework. */
  readonly engine: string
  readonly framework: 'koa' | 'express' | 'fastify'
  /** What the table calls it. */
  readonly name: string
}

function kind(library: string, engine: string, framework: Kind['framework'], name: string): Kind {
  return { library, engine, framework, name }
}

export const OURS = 'koa-typed-session'

export const kinds: readonly Kind[] = [
  kind('bare', 'koa', 'koa', 'Koa alone'),
  kind('bare', 'express', 'express', 'Express alone'),
  kind('bare', 'fastify', 'fastify', 'Fastify alone'),
  kind(OURS, 'memory', 'koa', 'koa-typed-session'),
  kind('koa-session', 'memory', 'koa', 'koa-session 7, JSON in a Map'),
  kind('koa-generic-session', 'memory', 'koa', 'koa-generic-session 2.3'),
  kind('express-session', 'memory', 'express', 'express-session 1.19'),
  kind('fastify-session', 'memory', 'fastify', '@fastify/session 11'),
  kind(OURS, 'redis', 'koa', 'koa-typed-session, ioredis'),
  kind('koa-session', 'redis', 'koa', 'koa-session 7, ioredis'),
  kind('express-session', 'redis', 'express', 'express-session 1.19, connect-redis 9'),
  kind(OURS, 'cookie', 'koa', 'koa-typed-session, sealed'),
  kind('koa-session', 'cookie', 'koa', 'koa-session 7, signed, not encrypted'),
  kind('iron-session', 'cookie', 'koa', 'iron-session 8'),
  kind('secure-session', 'cookie', 'fastify', '@fastify/secure-session 8'),
  kind(OURS, 'file', 'koa', 'koa-typed-session'),
  kind(OURS, 'sqlite', 'koa', 'koa-typed-session'),
  kind(OURS, 'postgres', 'koa', 'koa-typed-session, pg'),
]

/** The sessions that each visitor holds; `login` is one that is logged in over and over. */
export type Held = 'small' | 'cart' | 'large' | 'login'

/** What visitors do. */
export interface Scenario {
  readonly name:
    | 'anonymous'
    | 'untouched'
    | 'read'
    | 'write'
    | 'cart-read'
    | 'cart-change'
    | 'login'
    | 'large'
  readonly title: string
  /** Which of a visitor's sessions it is about. */
  readonly session: Held | undefined
}

export const scenarios: readonly Scenario[] = [
  { name: 'anonymous', title: 'no cookie, untouched', session: undefined },
  { name: 'untouched', title: 'cookie, untouched', session: 'small' },
  { name: 'read', title: 'read a key', session: 'small' },
  { name: 'write', title: 'write a key', session: 'small' },
  { name: 'cart-read', title: 'read a cart', session: 'cart' },
  { name: 'cart-change', title: 'change a cart', session: 'cart' },
  { name: 'login', title: 'log in', session: 'login' },
  { name: 'large', title: 'write a key of 64 KB', session: 'large' },
]

/** A cookie holds 4 KB, and frameworks alone keep nothing. */
export function fits({ library, engine }: Kind, { name }: Scenario): boolean {
  if (library === 'bare') return name === 'anonymous' || name === 'untouched'
  return engine !== 'cookie' || name !== 'large'
}
