import { execFile } from 'node:child_process'
import { copyFile, cp, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { inspect, promisify } from 'node:util'
import test from 'ava'
import { SessionError } from '../../../src/errors.ts'
import { parseMysqlConfig } from '../../../src/stores/mysql/config.ts'
import { MysqlStore, type MysqlStoreOptions } from '../../../src/stores/mysql.ts'
import { selfSigned } from '../../servers/certificates.ts'
import { freshDatabase, privateMariadb } from '../../servers/mariadb.ts'
import { locate, tools } from '../../servers/packages.ts'
import { freePort } from '../../servers/server.ts'
import { temporaryFolder } from '../../support/cleanup.ts'

const run = promisify(execFile)
const context = { now: Date.now }
const KEY = 'a'.repeat(64)
const PAYLOAD = 'kts1 0123456789abcdef 1700000000000'

// Of its own, because it is told to insist on TLS, and reached by its socket.
const keys = await temporaryFolder('kts-tls-')
const [keyFile, certFile] = [path.join(keys, 'key.pem'), path.join(keys, 'cert.pem')]
const openssl = await locate(tools.openssl)
const request = 'req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=kts.test'
await run(openssl, [...request.split(' '), '-keyout', keyFile, '-out', certFile])
const server = await privateMariadb(`--ssl-cert=${certFile}`, `--ssl-key=${keyFile}`)
const plain = await privateMariadb('--skip-ssl')
const port = await freePort()
const { username, password } = new URL(server.url)
const secret = decodeURIComponent(password)
test.after.always(async () => {
  await Promise.all([server.stop(), plain.stop()])
})

const place = { host: '127.0.0.1', port: 3306, user: '', password: '' }
const parsed: ReadonlyArray<readonly [config: string, settings: object]> = [
  ['/shop', { ...place, database: 'shop' }],
  ['bob@/shop', { ...place, user: 'bob', database: 'shop' }],
  ['bob:x@/shop', { ...place, user: 'bob', password: 'x', database: 'shop' }],
  ['bob:x@tcp/shop', { ...place, user: 'bob', password: 'x', database: 'shop' }],
  ['tcp(db.example.org)/shop', { ...place, host: 'db.example.org', database: 'shop' }],
  [
    'bob:x@(db:3307)/shop',
    { ...place, user: 'bob', password: 'x', host: 'db', port: 3307, database: 'shop' },
  ],
  ['tcp(:3307)/shop', { ...place, port: 3307, database: 'shop' }],
  ['tcp([de:ad:be:ef::ca:fe]:80)/shop', { ...place, host: 'de:ad:be:ef::ca:fe', port: 80, database: 'shop' }],
  ['tcp([::1])/shop', { ...place, host: '::1', database: 'shop' }],
  ['bob@unix(/run/my.sock)/shop', { ...place, user: 'bob', socketPath: '/run/my.sock', database: 'shop' }],
  ['unix/shop', { ...place, socketPath: '/tmp/mysql.sock', database: 'shop' }],
  ['b:a:/@x@tcp(h)/shop', { ...place, user: 'b', password: 'a:/@x', host: 'h', database: 'shop' }],
  ['/shop%20two', { ...place, database: 'shop two' }],
  ['/shop?', { ...place, database: 'shop' }],
  ['/shop?charset=utf8mb4&parseTime=True&loc=US%2FPacific', { ...place, database: 'shop' }],
  ['/shop?timeout=1m1.5s', { ...place, database: 'shop', connectTimeout: 61_500 }],
  ['/shop?readTimeout=2s&writeTimeout=500ms', { ...place, database: 'shop', timeout: 2_000 }],
  ['/shop?table=visits&poolSize=3', { ...place, database: 'shop', table: 'visits', poolSize: 3 }],
  ['/shop?tls=false', { ...place, database: 'shop' }],
  ['/shop?tls=true', { ...place, database: 'shop', tls: { rejectUnauthorized: true, verifyIdentity: true } }],
  [
    '/shop?tls=skip-verify',
    { ...place, database: 'shop', tls: { rejectUnauthorized: false, verifyIdentity: false } },
  ],
  ['mysql://db/shop', { ...place, host: 'db', database: 'shop' }],
  ['mysql:///shop', { ...place, database: 'shop' }],
  [
    'MariaDB://b%40b:p%3Ax%2F@db:3307/shop',
    { user: 'b@b', password: 'p:x/', host: 'db', port: 3307, database: 'shop' },
  ],
  ['mysql://[::1]:3307/shop', { ...place, host: '::1', port: 3307, database: 'shop' }],
  [
    'mysql://bob@localhost/shop?socketPath=/s',
    { ...place, user: 'bob', host: 'localhost', socketPath: '/s', database: 'shop' },
  ],
  ['mysql://db/shop?connectionLimit=4', { ...place, host: 'db', database: 'shop', poolSize: 4 }],
  [
    'mysql://db/shop?ssl-mode=VERIFY_CA',
    { ...place, host: 'db', database: 'shop', tls: { rejectUnauthorized: true, verifyIdentity: false } },
  ],
  [
    'mysql://db/shop?ssl={"rejectUnauthorized": true}',
    { ...place, host: 'db', database: 'shop', tls: { rejectUnauthorized: true, verifyIdentity: true } },
  ],
]
for (const [config, settings] of parsed) {
  test(`'${config}' is parsed`, (t) => {
    const { warnings: _, ...found } = parseMysqlConfig(config)
    t.deepEqual(found, settings)
  })
}

const UNKNOWN =
  'has an unknown parameter; known are table, poolSize, connectionLimit, connection_limit, socketPath, socket, ' +
  'timeout, readTimeout, writeTimeout, connect_timeout, connectTimeout, socket_timeout, socketTimeout, enableKeepAlive, ' +
  'keepAliveInitialDelay, tls, ssl-mode, ssl, ssl-ca, ssl-cert, ssl-key, sslaccept, useSSL'
const malformed: ReadonlyArray<readonly [config: string, complaint: string]> = [
  ['', 'has no slash before the name of the database'],
  ['bob:pikeperch@tcp(db:3306)', 'has no slash before the name of the database'],
  ['bob:pikeperch@tcp(db:3306)/', 'has no valid name of a database'],
  ['bob:pikeperch@tcp(db:3306/shop', 'has no valid protocol(address)'],
  ['bob:pikeperch@tcp db/shop', 'has no valid protocol(address)'],
  ['bob:pikeperch@db:3306/shop', 'has no valid protocol(address)'],
  ['bob:pikeperch@udp(db:3306)/shop', 'names a protocol other than tcp and unix'],
  ['bob:pikeperch@tcp(db:0)/shop', 'has a port that is not between 1 and 65535'],
  ['bob:pikeperch@tcp(db:65536)/shop', 'has a port that is not between 1 and 65535'],
  ['bob:pikeperch@tcp(db:port)/shop', 'has an address that is not host:port'],
  ['bob:pikeperch@tcp(::1)/shop', 'has an address that is not host:port'],
  ['bob:pikeperch@/shop?speed=high', UNKNOWN],
  ['bob:pikeperch@/shop?pike@perch=high', UNKNOWN],
  ['bob:pikeperch@/shop?timeout=5', 'has a parameter timeout without a valid value'],
  ['bob:pikeperch@/shop?timeout=0s', 'has a parameter timeout without a valid value'],
  ['bob:pikeperch@/shop?readTimeout=1000h', 'has a parameter readTimeout without a valid value'],
  ['bob:pikeperch@/shop?tls=perhaps', 'has a parameter tls without a valid value'],
  ['bob:pikeperch@/shop?tls=__proto__', 'has a parameter tls without a valid value'],
  ['bob:pikeperch@/shop?poolSize=0', 'has a parameter poolSize without a valid value'],
  ['bob:pikeperch@/shop?table=a`b', 'has a parameter table without a valid value'],
  ['bob:pikeperch@/shop%zz', 'has a percent sign that encodes nothing: write it as %25'],
  ['mysql://bob:pike%zzperch@db/shop', 'has a percent sign that encodes nothing: write it as %25'],
  ['mysql://bob:pike?perch=1@db/shop', 'has a user or password that is not percent-encoded'],
  ['mysql://bob:pike#perch@db/shop', 'has a user or password that is not percent-encoded'],
  ['mysql://bob:pike/perch@db/shop', 'is not a valid URL'],
  ['mysql://bob:pikeperch@db:99999/shop', 'is not a valid URL'],
  ['mysql://bob:1/pikeperch@db/shop', 'has no valid name of a database'],
  ['mysql://bob:pikeperch@db', 'has no valid name of a database'],
  ['mysql://bob:pikeperch@db/shop?ssl-mode=PERHAPS', 'has a parameter ssl-mode without a valid value'],
  ['postgres://bob:pikeperch@db/shop', 'is a URL, but neither mysql:// nor mariadb://'],
]
for (const [config, complaint] of malformed) {
  test(`'${config}' is refused at once: ${complaint}`, (t) => {
    const error = t.throws(() => MysqlStore.fromConfig(config, context), { instanceOf: SessionError })
    t.is(error.code, 'ERR_SESSION_OPTIONS')
    t.true(
      error.message.startsWith(`mysql: the config string ${complaint}; expected user:password@tcp(`),
      error.message,
    )
    t.notRegex(inspect(error), /pike|perch/)
  })
}

const impossible: ReadonlyArray<readonly [options: MysqlStoreOptions, complaint: string]> = [
  [{}, 'give either url or client'],
  [{ url: '/shop', table: 'a b' }, 'table must be the plain name of a table: letters, digits, _ and $'],
  [{ url: '/shop', timeout: 0 }, 'timeout must be a whole number from 1 to 2147483647'],
  [{ url: '/shop', poolSize: 1.5 }, 'poolSize must be a whole number of at least 1'],
]
for (const [options, complaint] of impossible) {
  test(`${JSON.stringify(options)} is refused at once: ${complaint}`, (t) => {
    t.throws(() => new MysqlStore(options), { code: 'ERR_SESSION_OPTIONS', message: `mysql: ${complaint}` })
  })
}

async function serves(store: MysqlStore): Promise<boolean> {
  try {
    await store.destroy(KEY)
    await store.create(KEY, PAYLOAD, Date.now() + 60_000)
    return (await store.read(KEY))?.payload === PAYLOAD
  } finally {
    await store.close()
  }
}

const user = `${username}:${secret}`
const address = `127.0.0.1:${server.port}`
for (const [form, config] of Object.entries({
  'a DSN': `${user}@tcp(${address})/kts`,
  'a DSN without a protocol': `${user}@(${address})/kts`,
  'a DSN with parameters': `${user}@tcp(${address})/kts?charset=utf8&parseTime=true&timeout=5s&readTimeout=5s`,
  'a DSN with a table of its own': `${user}@tcp(${address})/kts?table=visits&poolSize=2`,
  'a DSN with a socket': `${user}@unix(${server.socketPath})/kts`,
  'a DSN with TLS': `${user}@tcp(${address})/kts?tls=skip-verify`,
  'a DSN with a user that needs no password': `guest@tcp(${address})/kts`,
  'a mysql:// URL': server.url,
  'a mariadb:// URL': server.url.replace('mysql:', 'mariadb:'),
  'a URL with a socket': `${server.url}?socketPath=${server.socketPath}`,
  'a URL with TLS': `${server.url}?ssl-mode=REQUIRED`,
})) {
  test.serial(`${form} opens the live server`, async (t) => {
    const database = await freshDatabase(server)
    await database.sql("CREATE OR REPLACE USER guest@'%'")
    await database.sql("GRANT ALL ON kts.* TO guest@'%'")
    t.true(await serves(MysqlStore.fromConfig(config, context)))
    await database.drop()
  })
}

test.serial('if the server requires TLS, the connection is encrypted or refused', async (t) => {
  const database = await freshDatabase(server)
  await database.sql('SET GLOBAL require_secure_transport = ON')
  try {
    t.true(await serves(MysqlStore.fromConfig(`${user}@tcp(${address})/kts?tls=skip-verify`, context)))
    const error = await t.throwsAsync(serves(MysqlStore.fromConfig(`${user}@tcp(${address})/kts`, context)))
    t.regex(error.message, /TLS/)
  } finally {
    await database.sql('SET GLOBAL require_secure_transport = OFF')
    await database.drop()
  }
})

for (const [trouble, config, complaint] of [
  [
    'a wrong password',
    `${username}:pikeperch@tcp(${address})/kts`,
    'the server refuses this user or password, or requires TLS (ER_ACCESS_DENIED_ERROR)',
  ],
  [
    'a database that is not there',
    `${user}@tcp(${address})/nowhere`,
    'there is no such database (ER_BAD_DB_ERROR)',
  ],
  [
    'a port without a server',
    `${user}@tcp(127.0.0.1:${port})/kts`,
    'no server listens at this address (ECONNREFUSED)',
  ],
  [
    'a host without an address',
    `${user}@tcp(host.invalid)/kts`,
    /^mysql: open failed: the name of the host cannot be resolved \((ENOTFOUND|EAI_AGAIN)\)$/,
  ],
  [
    'a socket that is not there',
    `${user}@unix(/nowhere/socket)/kts`,
    'there is no socket at this path (ENOENT)',
  ],
  [
    'an untrusted certificate',
    `${user}@tcp(${address})/kts?tls=true`,
    'no TLS connection; the certificate may not be trusted (HANDSHAKE_SSL_ERROR)',
  ],
  [
    'a server without TLS',
    `${plain.url}?tls=true`,
    'the server does not offer TLS (HANDSHAKE_NO_SSL_SUPPORT)',
  ],
] as const) {
  test.serial(`with ${trouble} open and every verb fail early, with a clear error`, async (t) => {
    const store = MysqlStore.fromConfig(config, context)
    for (const attempt of [store.open(), store.read(KEY), store.count()]) {
      const error = await t.throwsAsync(attempt, { instanceOf: SessionError, code: 'ERR_SESSION_STORE' })
      if (typeof complaint === 'string') t.is(error.message, `mysql: open failed: ${complaint}`)
      else t.regex(error.message, complaint)
      t.false(inspect(error, { depth: 9 }).includes(secret), 'no password')
      t.notRegex(inspect(error, { depth: 9 }), /pikeperch/)
    }
    await store.close()
  })
}

test.serial(
  'tls=true checks the certificate for the host of the address, be it a name or an IP',
  async (t) => {
    const database = await freshDatabase(server)
    const before = [await readFile(certFile), await readFile(keyFile)] as const
    const folder = await temporaryFolder('kts-names-')
    // The authorities that Node trusts are fixed when it starts.
    const script = path.join(import.meta.dirname, 'tls.ts')
    const opened = async (host: string): Promise<unknown> => {
      const config = `${user}@tcp(${host}:${server.port})/kts?tls=true`
      const { stdout } = await run(process.execPath, ['--import=tsx', script, config], {
        env: { ...process.env, NODE_EXTRA_CA_CERTS: certFile },
      })
      return JSON.parse(stdout)
    }
    const unfit =
      'mysql: open failed: no TLS connection; the certificate may not be trusted (HANDSHAKE_SSL_ERROR)'
    try {
      for (const [names, outcomes] of [
        ['DNS:localhost', { localhost: 'open', '127.0.0.1': unfit }],
        ['IP:127.0.0.1', { localhost: unfit, '127.0.0.1': 'open' }],
        ['DNS:elsewhere,IP:127.0.0.2', { localhost: unfit, '127.0.0.1': unfit }],
      ] as const) {
        const made = await selfSigned(folder, names)
        await copyFile(made.certificate, certFile)
        await copyFile(made.key, keyFile)
        await database.sql('FLUSH SSL')
        for (const [host, outcome] of Object.entries(outcomes))
          t.is(await opened(host), outcome, `${names} ${host}`)
      }
    } finally {
      await writeFile(certFile, before[0])
      await writeFile(keyFile, before[1])
      await database.sql('FLUSH SSL')
      await database.drop()
    }
  },
)

test.serial(
  'without the driver the error names the command that installs it, and the next verb tries again',
  async (t) => {
    const folder = await temporaryFolder('kts-driver-')
    const root = path.resolve(import.meta.dirname, '../../..')
    await cp(path.join(root, 'src'), path.join(folder, 'src'), { recursive: true })
    await writeFile(path.join(folder, 'package.json'), '{ "type": "module" }')
    const script =
      "import { symlink } from 'node:fs/promises'\n" +
      "import { MysqlStore } from './src/stores/mysql.ts'\n" +
      `const store = new MysqlStore({ url: ${JSON.stringify(server.url)} })\n` +
      'await store.open().catch(({ code, message }) => console.log(code, message))\n' +
      `await symlink(${JSON.stringify(path.join(root, 'node_modules'))}, 'node_modules')\n` +
      "await store.open().then(() => console.log('open'), ({ message }) => console.log(message))\n" +
      'await store.close()\n'
    await writeFile(path.join(folder, 'script.ts'), script)
    const tsx = `--import=${import.meta.resolve('tsx')}`
    const { stdout } = await run(process.execPath, [tsx, 'script.ts'], { cwd: folder })
    const [first, second] = stdout.split('\n')
    t.is(first, 'ERR_SESSION_OPTIONS the package mysql2 is missing: npm install mysql2')
    t.is(second, 'open')
  },
)
