import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { parseMysqlConfig, type MysqlConfig } from '../../../src/stores/mysql/config.ts'
import { mysqlSettings } from '../../../src/stores/mysql/options.ts'
import { MysqlStore, type MysqlStoreOptions } from '../../../src/stores/mysql.ts'
import { selfSigned } from '../../servers/certificates.ts'
import { freshDatabase, privateMariadb, type PrivateMariadb } from '../../servers/mariadb.ts'
import { locate, tools } from '../../servers/packages.ts'
import { temporaryFolder } from '../../support/cleanup.ts'

const run = promisify(execFile)
const SECRET = 'pikeperch'

// One server speaks TLS with a certificate for 127.0.0.1, the other does not speak it.
const folder = await temporaryFolder('kts-vendors-')
const openssl = await locate(tools.openssl)
const made = await selfSigned(folder, 'DNS:localhost,IP:127.0.0.1')
// MariaDB takes keys in the older form.
const keyFile = path.join(folder, 'server-key.pem')
await run(openssl, ['ec', '-in', made.key, '-out', keyFile])
const server = await privateMariadb(`--ssl-cert=${made.certificate}`, `--ssl-key=${keyFile}`)
const plain = await privateMariadb('--skip-ssl')
const stranger = await selfSigned(folder, 'DNS:localhost,IP:127.0.0.1', 'stranger')
test.after.always(async () => {
  await Promise.all([server.stop(), plain.stop()])
})

/** How the connection is encrypted, in one word. */
function wayOf({ tls, isTlsOptional }: MysqlConfig): string {
  if (tls === undefined) return 'plain'
  if (isTlsOptional === true) return 'if possible'
  if (!tls.rejectUnauthorized) return 'encrypted'
  return tls.verifyIdentity ? 'verified' : 'trusted'
}

function codesOf({ warnings = [] }: MysqlConfig): readonly string[] {
  return warnings.map(({ code }) => code.replace('KTS_', ''))
}

const STRINGS: ReadonlyArray<readonly [vendor: string, text: string, way: string, more?: object]> = [
  ['PlanetScale', `mysql://u:${SECRET}@aws.connect.psdb.cloud/shop?sslaccept=strict`, 'verified'],
  [
    'PlanetScale with mysql2',
    `mysql://u:${SECRET}@aws.connect.psdb.cloud/shop?ssl={"rejectUnauthorized":true}`,
    'verified',
  ],
  [
    'TiDB',
    `mysql://2aEp.root:${SECRET}@gateway01.eu-central-1.prod.aws.tidbcloud.com:4000/shop?ssl={"minVersion":"TLSv1.2","rejectUnauthorized":true}`,
    'verified',
    { port: 4000, tls: { minVersion: 'TLSv1.2' } },
  ],
  [
    'TiDB, percent-encoded',
    `mysql://u:${SECRET}@gateway01.tidbcloud.com:4000/shop?ssl=%7B%22minVersion%22%3A%22TLSv1.2%22%2C%22rejectUnauthorized%22%3Atrue%7D`,
    'verified',
    { tls: { minVersion: 'TLSv1.2' } },
  ],
  [
    'DigitalOcean',
    `mysql://doadmin:${SECRET}@db.b.db.ondigitalocean.com:25060/shop?ssl-mode=REQUIRED`,
    'encrypted',
  ],
  ['Aiven', `mysql://avnadmin:${SECRET}@mysql-1.aivencloud.com:12345/shop?ssl-mode=REQUIRED`, 'encrypted'],
  [
    'Azure',
    `mysql://shop%40srv:${SECRET}@srv.mysql.database.azure.com:3306/shop?sslmode=require`,
    'encrypted',
  ],
  ['ClearDB on Heroku', `mysql://b1:${SECRET}@us-cdbr-east-06.cleardb.net/heroku_1?reconnect=true`, 'plain'],
  [
    'Prisma',
    `mysql://u:${SECRET}@db.example.org:3306/shop?connection_limit=5&pool_timeout=7&socket_timeout=3&connect_timeout=9&sslaccept=strict`,
    'verified',
    {
      poolSize: 5,
      timeout: 3_000,
      connectTimeout: 9_000,
      codes: ['PARAMETER_IGNORED'],
      ignored: /pool_timeout \(a call waits/,
    },
  ],
  [
    'Prisma, which accepts what comes',
    `mysql://u:${SECRET}@db.example.org/shop?sslaccept=accept_invalid_certs`,
    'encrypted',
    { codes: ['TLS_NOT_VERIFIED'], ignored: /sslaccept=accept_invalid_certs accepts any/ },
  ],
  [
    'JDBC',
    `mysql://u:${SECRET}@db.example.org/shop?useSSL=true&requireSSL=true&verifyServerCertificate=true&serverTimezone=UTC&allowPublicKeyRetrieval=true`,
    'trusted',
  ],
  ['JDBC without TLS', `mysql://u:${SECRET}@db.example.org/shop?useSSL=false&requireSSL=false`, 'plain'],
  ['MariaDB', `mariadb://u:${SECRET}@db.example.org/shop?sslMode=verify-full`, 'verified'],
  [
    "Go's driver",
    `u:${SECRET}@tcp(db.example.org)/shop?tls=skip-verify`,
    'encrypted',
    { codes: ['TLS_NOT_VERIFIED'] },
  ],
  [
    "Go's driver, if possible",
    `u:${SECRET}@tcp(db.example.org)/shop?tls=preferred`,
    'if possible',
    { codes: ['TLS_NOT_REQUIRED'] },
  ],
  [
    'mysql2',
    `mysql://u:${SECRET}@db.example.org/shop?enableKeepAlive=false&queueLimit=9&waitForConnections=true&ssl={}`,
    'verified',
    { keepAlive: false, codes: ['PARAMETER_IGNORED'], ignored: /queueLimit/ },
  ],
  [
    'beego as JSON',
    `{"url":"u:${SECRET}@tcp(db.example.org)/shop","tls":true,"ca":"-----BEGIN CERTIFICATE-----","table":"visits","poolSize":3}`,
    'verified',
    { table: 'visits', poolSize: 3, tls: { ca: '-----BEGIN CERTIFICATE-----' } },
  ],
  ['beego as JSON without TLS', `{"url":"mysql://u:${SECRET}@localhost/shop","tls":false}`, 'plain'],
  [
    'beego as JSON with options of TLS',
    `{"url":"mysql://u:${SECRET}@localhost/shop","tls":{"minVersion":"TLSv1.3"}}`,
    'verified',
    { tls: { minVersion: 'TLSv1.3' } },
  ],
]

for (const [vendor, text, way, more = {}] of STRINGS) {
  test(`a string of ${vendor} is taken as it is`, (t) => {
    const config = parseMysqlConfig(text)
    const { codes = [], ignored = /^/, ...fields } = more as { codes?: string[]; ignored?: RegExp } & object
    t.is(wayOf(config), way)
    t.like(config, { password: SECRET, ...fields })
    t.deepEqual(codesOf(config), codes)
    const told = (config.warnings ?? []).map(({ text: said }) => said).join(' ')
    t.regex(told, ignored)
    t.false(told.includes(SECRET))
  })
}

test('ssl-mode is known in every spelling', (t) => {
  for (const name of ['ssl-mode', 'sslmode', 'sslMode', 'ssl_mode', 'SSL-MODE'])
    for (const [values, way] of [
      [['DISABLED', 'disabled', 'disable'], 'plain'],
      [['PREFERRED', 'Preferred', 'prefer'], 'if possible'],
      [['REQUIRED', 'required', 'require'], 'encrypted'],
      [['VERIFY_CA', 'verify_ca', 'verify-ca'], 'trusted'],
      [['VERIFY_IDENTITY', 'verify-identity', 'verify-full'], 'verified'],
    ] as const)
      for (const value of values)
        t.is(wayOf(parseMysqlConfig(`/shop?${name}=${value}`)), way, `${name}=${value}`)
})

test('an authority asks for a check, and a stricter parameter counts', (t) => {
  const ca = `ssl-ca=${made.certificate}`
  for (const [query, way] of [
    [ca, 'verified'],
    [`${ca}&ssl-mode=PREFERRED`, 'trusted'],
    [`ssl-mode=REQUIRED&${ca}`, 'trusted'],
    [`ssl-mode=VERIFY_CA&${ca}`, 'trusted'],
    [`ssl-mode=REQUIRED&sslaccept=strict`, 'verified'],
    [`ssl-mode=REQUIRED&ssl={"rejectUnauthorized":true}`, 'verified'],
    [`ssl={"verifyIdentity":false}`, 'trusted'],
    [`sslaccept=strict&sslcert=${made.certificate}`, 'verified'],
  ] as const)
    t.is(wayOf(parseMysqlConfig(`mysql:///shop?${query}`)), way, query)
  const authority = readFileSync(made.certificate)
  t.deepEqual(parseMysqlConfig(`mysql:///shop?${ca}`).tls?.ca, authority)
  t.like(parseMysqlConfig(`mysql:///shop?sslaccept=strict&sslcert=${made.certificate}`).tls, {
    ca: authority,
    cert: undefined,
  })
  t.like(parseMysqlConfig(`mysql:///shop?ssl-cert=${made.certificate}&ssl-key=${made.key}`).tls, {
    cert: authority,
    rejectUnauthorized: true,
  })
})

for (const [text, complaint] of [
  ['mysql:///shop?ssl-mode=DISABLED&sslaccept=strict', /asks for TLS and turns it off/],
  ['mysql:///shop?tls=false&ssl-mode=REQUIRED', /asks for TLS and turns it off/],
  [`mysql:///shop?ssl-mode=DISABLED&ssl-ca=${made.certificate}`, /asks for TLS and turns it off/],
  ['mysql:///shop?tls=skip-verify&ssl-mode=VERIFY_CA', /asks for a check of the certificate and accepts any/],
  [
    `mysql:///shop?sslaccept=accept_invalid_certs&ssl-ca=${made.certificate}`,
    /asks for a check of the certificate and/,
  ],
  [`mysql:///shop?ssl-cert=${made.certificate}`, /has ssl-cert, which needs ssl-key/],
  ['mysql:///shop?ssl-ca=/nowhere/pikeperch', /names a file as ssl-ca that cannot be read \(ENOENT\)/],
  ['mysql:///shop?ssl={"rejectUnauthorized":"pikeperch"}', /has a parameter ssl without a valid value/],
  ['mysql:///shop?ssl={"pikeperch":true}', /has a parameter ssl without a valid value/],
  ['mysql:///shop?ssl={"pikeperch', /has a parameter ssl without a valid value/],
  ['mysql:///shop?ssl=[true]', /has a parameter ssl without a valid value/],
  ['mysql:///shop?socket_timeout=soon', /has a parameter socket_timeout without a valid value/],
  ['{"tls":true}', /is JSON, and needs the address as its url/],
  ['{"url":"/shop","pikeperch":1}', /has an unknown field; known are url, tls, ca/],
  ['{"url":"u:pikeperch@/shop"', /begins like JSON but is malformed/],
  ['{"url":"u:pikeperch@/shop","tls":"perhaps"}', /has a parameter tls without a valid value/],
  ['{"url":"u:pikeperch@/shop","tls":7}', /has a parameter tls without a valid value/],
  ['{"url":"u:pikeperch@/shop","tls":false,"ca":"-----BEGIN"}', /asks for TLS and turns it off|names a file/],
] as const) {
  test(`what contradicts, or is unknown, is refused: ${text.replaceAll(folder, '…')}`, (t) => {
    const error = t.throws(() => parseMysqlConfig(text), { code: 'ERR_SESSION_OPTIONS' })
    t.regex(error.message, complaint)
    t.false(error.message.includes(SECRET))
  })
}

test('TLS that the server may leave out is a warning on a host that is not local', (t) => {
  for (const [text, isTold] of [
    ['mysql://db.example.org/shop?ssl-mode=PREFERRED', true],
    ['tcp(10.0.0.7)/shop?tls=preferred', true],
    ['mysql://localhost/shop?ssl-mode=PREFERRED', false],
    ['tcp(127.0.0.1)/shop?tls=preferred', false],
    ['unix(/run/mysql.sock)/shop?tls=preferred', false],
    ['mysql://db.example.org/shop?socketPath=/run/mysql.sock&ssl-mode=PREFERRED', false],
    ['mysql://db.example.org/shop?ssl-mode=REQUIRED', false],
  ] as const)
    t.deepEqual(codesOf(parseMysqlConfig(text)), isTold ? ['TLS_NOT_REQUIRED'] : [], text)
})

test('tls beside url is checked by name, and has no meaning with client', (t) => {
  for (const [options, complaint] of [
    [
      { url: '/shop', tls: { rejectUnauthorised: true } },
      /^mysql: tls\.rejectUnauthorised: is not a setting.*rejectUnauthorized/,
    ],
    [{ url: '/shop', tls: true }, /^mysql: tls must be an object of TLS options/],
    [{ url: '/shop?tls=false', tls: { ca: 'x' } }, /asks for TLS and turns it off/],
    [
      { client: { getConnection: Object, query: Object, end: Object }, tls: {} },
      /^mysql: tls cannot be given with client: set its ssl instead/,
    ],
  ] as const)
    t.throws(() => mysqlSettings(options as unknown as MysqlStoreOptions), {
      code: 'ERR_SESSION_OPTIONS',
      message: complaint,
    })
})

/** How the server sees the connection of a store: its cipher, `''` if it is not encrypted. */
async function cipherOf(
  at: PrivateMariadb,
  options: Omit<MysqlStoreOptions, 'url'> & { readonly query?: string },
): Promise<string> {
  const { query = '', ...others } = options
  const database = await freshDatabase(at)
  // The server notes the cipher of a connection in the session that creates the row.
  const store = new MysqlStore({
    url: query.startsWith('{') ? query.replace('§', database.url) : `${database.url}?${query}`,
    poolSize: 1,
    ...others,
  })
  try {
    await store.open()
    await database.sql('CREATE TABLE seen (cipher text)')
    await database.sql(
      'CREATE TRIGGER see BEFORE INSERT ON session FOR EACH ROW INSERT INTO seen ' +
        "SELECT variable_value FROM information_schema.session_status WHERE variable_name = 'SSL_CIPHER'",
    )
    await store.create('a'.repeat(64), 'kts1 0123456789abcdef x', Date.now() + 60_000)
    return String((await database.sql('SELECT cipher FROM seen'))[0]?.['cipher'])
  } finally {
    await store.close()
    await database.drop()
  }
}

test.serial('ssl-mode=PREFERRED is encrypted if the server can, and not if it cannot', async (t) => {
  for (const query of ['ssl-mode=PREFERRED', 'tls=preferred', 'sslMode=preferred']) {
    t.not(await cipherOf(server, { query }), '', query)
    t.is(await cipherOf(plain, { query }), '', query)
  }
  t.is(await cipherOf(server, { query: 'ssl-mode=DISABLED' }), '')
})

test.serial('where the server cannot encrypt, the error is what it says without TLS', async (t) => {
  const wrong = new URL(plain.url)
  wrong.password = SECRET
  const store = new MysqlStore({ url: `${wrong.href}?ssl-mode=PREFERRED` })
  await t.throwsAsync(store.open(), { message: /ER_ACCESS_DENIED_ERROR/ })
  await store.close()
  const strict = new MysqlStore({ url: `${plain.url}?ssl-mode=REQUIRED` })
  await t.throwsAsync(strict.open(), { message: /the server does not offer TLS/ })
  await strict.close()
})

test.serial('the authority is that of ssl-ca, of JSON, or of the option tls', async (t) => {
  const ca = readFileSync(made.certificate, 'utf8')
  const inJson = (file: string): string => JSON.stringify({ url: '§', tls: true, ca: file })
  const encoded = encodeURIComponent(JSON.stringify({ ca, minVersion: 'TLSv1.2', rejectUnauthorized: true }))
  for (const options of [
    { query: `ssl-ca=${made.certificate}` },
    { query: `sslaccept=strict&sslcert=${made.certificate}` },
    { query: `ssl=${encoded}` },
    { query: `tls=true`, tls: { ca } },
    { tls: { ca: readFileSync(made.certificate) } },
    { query: inJson(made.certificate) },
    { query: inJson(ca) },
  ])
    t.not(await cipherOf(server, options), '', options.query ?? 'tls')
  for (const options of [
    { query: 'tls=true' },
    { query: 'sslaccept=strict' },
    { query: 'ssl={"minVersion":"TLSv1.2","rejectUnauthorized":true}' },
    { query: `ssl-ca=${stranger.certificate}` },
    { query: inJson(stranger.certificate) },
    { tls: {}, query: 'ssl-mode=VERIFY_CA' },
  ])
    await t.throwsAsync(cipherOf(server, options), { message: /HANDSHAKE_SSL_ERROR/ }, options.query)
})

test.serial('each warning is a warning of the process, once', async (t) => {
  const warnings: Error[] = []
  const note = (warning: Error): void => void warnings.push(warning)
  process.on('warning', note)
  t.teardown(() => void process.removeListener('warning', note))
  for (let times = 0; times < 2; times += 1)
    mysqlSettings({ url: `mysql://u:${SECRET}@db.example.org/shop?pool_timeout=5&ssl-mode=PREFERRED` })
  await new Promise(setImmediate)
  t.deepEqual(
    warnings.map((warning) => [warning.name, Object(warning).code, warning.message.includes(SECRET)]),
    [
      ['SessionWarning', 'KTS_TLS_NOT_REQUIRED', false],
      ['SessionWarning', 'KTS_PARAMETER_IGNORED', false],
    ],
  )
})
