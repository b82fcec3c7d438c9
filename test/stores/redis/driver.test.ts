import * as module from 'node:module'
import test from 'ava'
import { RedisStore } from '../../../src/stores/redis.ts'

test('without the driver the error names the command that installs it', async (t) => {
  module.register(
    `data:text/javascript,${encodeURIComponent(`
    export async function resolve(specifier, context, next) {
      if (specifier !== 'ioredis') return next(specifier, context)
      throw Object.assign(new Error("Cannot find package 'ioredis' imported from here"), { code: 'ERR_MODULE_NOT_FOUND' })
    }`)}`,
  )
  const store = new RedisStore({ url: '127.0.0.1' })
  const error = await t.throwsAsync(store.open(), { name: 'SessionError', code: 'ERR_SESSION_OPTIONS' })
  t.is(error.message, 'the package ioredis is missing: npm install ioredis')
})
