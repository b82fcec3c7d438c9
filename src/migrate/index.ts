export { beego, type BeegoImporterOptions } from './beego.ts'
export type { BinaryRedisClient, MysqlPool, PostgresPool, RedisClient } from './clients.ts'
export {
  expressSession,
  type ExpressSessionImporterOptions,
  type ExpressSessionStore,
} from './express-session.ts'
export type { GobMapper } from './gob/decoder.ts'
export { koaGenericSession, type KoaGenericSessionImporterOptions } from './koa-generic-session.ts'
export { koaSession, type KoaSessionImporterOptions, type KoaSessionStore } from './koa-session.ts'
export type { OldCookieOptions } from './options.ts'
export type { OldRecord, ValuesOption } from './records.ts'
export type { SignatureVerifier, SigningKeys } from './signatures.ts'
export type { CookieValues, Importer, OldCookie, OldSession } from '../session/adopt/importer.ts'
export { migrate, type MigrateOptions, type MigratingStore } from './migrate.ts'
