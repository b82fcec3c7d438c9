export { beego, type BeegoImporterOptions } from './migrate/beego.ts'
export type { BinaryRedisClient, MysqlPool, PostgresPool, RedisClient } from './migrate/clients.ts'
export {
  expressSession,
  type ExpressSessionImporterOptions,
  type ExpressSessionStore,
} from './migrate/express-session.ts'
export type { GobMapper } from './migrate/gob/decoder.ts'
export { koaGenericSession, type KoaGenericSessionImporterOptions } from './migrate/koa-generic-session.ts'
export { koaSession, type KoaSessionImporterOptions, type KoaSessionStore } from './migrate/koa-session.ts'
export type { OldCookieOptions } from './migrate/options.ts'
export type { OldRecord, ValuesOption } from './migrate/records.ts'
export type { SignatureVerifier, SigningKeys } from './migrate/signatures.ts'
export type { CookieValues, Importer, OldCookie, OldSession } from './session/adopt/importer.ts'
