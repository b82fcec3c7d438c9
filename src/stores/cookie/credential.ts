import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { Sealer } from '../../codec/seal/sealer.ts'
import type { Entry } from '../../store.ts'

/** The longest credential. It fits into three cookies, and leaves room for others in the 16 KiB of headers that Node accepts. */
const MAX_CREDENTIAL = 12_000
/** The longest text that fits into one cookie. A compressed session of this length would need one cookie as well. */
const ONE_COOKIE = 2_800
const LAST_MOMENT = 8.64e15

/** The text in a credential: the expiry in ms, base 36, the key, and then the payload. */
const HEAD = /^([\da-z]{1,11}) ([\w-]{1,128})\n/

/** The first byte of a compressed text. No other text begins with it. */
const COMPRESSED = Buffer.of(0)

/** The credential of a session: sealed, and compressed if that saves a cookie. */
export function sealCredential(
  sealer: Sealer,
  { payload, expiresAt, key }: Entry,
  mayCompress: boolean,
): string {
  const moment = Math.ceil(Math.min(Math.max(expiresAt, 0), LAST_MOMENT)).toString(36)
  const text = Buffer.from(`${moment} ${key}\n${payload}`)
  return sealer.seal(mayCompress && text.length > ONE_COOKIE ? deflate(text) : text)
}

/** The session in a credential; `undefined` if the credential was not issued by this store. It may have expired. */
export function openCredential(sealer: Sealer, credential: string): Entry | undefined {
  const opened = credential.length > MAX_CREDENTIAL ? undefined : sealer.open(credential)
  const text = opened && inflate(opened.plain)?.toString()
  const [head, moment = '', key] = HEAD.exec(text ?? '') ?? []
  if (opened === undefined || text === undefined || head === undefined || key === undefined) return undefined
  const payload = text.slice(head.length)
  return { payload, expiresAt: Number.parseInt(moment, 36), key, stale: opened.stale }
}

/** The bytes compressed, or unchanged if that is shorter. */
function deflate(bytes: Buffer): Buffer {
  const deflated = deflateRawSync(bytes)
  return deflated.length + COMPRESSED.length < bytes.length ? Buffer.concat([COMPRESSED, deflated]) : bytes
}

/** The bytes that {@link deflate} was given; `undefined` if they are damaged or longer than any credential. */
function inflate(bytes: Buffer): Buffer | undefined {
  if (!bytes.subarray(0, COMPRESSED.length).equals(COMPRESSED)) return bytes
  try {
    return inflateRawSync(bytes.subarray(COMPRESSED.length), { maxOutputLength: MAX_CREDENTIAL })
  } catch {
    return undefined
  }
}
