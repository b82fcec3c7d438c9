import * as crypto from 'node:crypto'

const BLOCK = 16
const NONCE = 24
const TAG = 16

/** Random bytes in stock: fetching a few at a time costs more than the rest of the preparation. */
const pool = Buffer.alloc(NONCE * 128)
let used = pool.length

/** By how many bytes a sealed message is longer than its plain text. */
export const OVERHEAD: number = NONCE + TAG

/**
 * XAES-256-GCM as C2SP specifies it: AES-256-GCM with a nonce of 192 bits, half of which derives a key for the one
 * message. With the 96-bit random nonces of plain GCM a key is safe for 2³² messages, which a busy site seals within
 * days. Here it is safe for 2⁸⁰.
 *
 * Sealed bytes are nonce, ciphertext, tag.
 */
export class XaesKey {
  /** ECB keeps no state between blocks, so one object serves all messages. */
  readonly #cipher: crypto.Cipher
  /** The two blocks from which a message's key is derived, before the nonce is added. */
  readonly #mask: Buffer
  /** Scratch space for these blocks with the nonce of the current message. */
  readonly #blocks: Buffer

  constructor(key: Uint8Array) {
    this.#cipher = crypto.createCipheriv('aes-256-ecb', key, null).setAutoPadding(false)
    const k1 = doubled(this.#cipher.update(Buffer.alloc(BLOCK)))
    this.#mask = Buffer.concat([k1, k1])
    for (const [block, counter] of [1, 2].entries()) {
      const at = block * BLOCK
      for (const [offset, byte] of [0, counter, 0x58, 0].entries()) xor(this.#mask, at + offset, byte)
    }
    this.#blocks = Buffer.from(this.#mask)
  }

  /** Seals with a fresh random nonce. Pass `nonce` only to check published test vectors. */
  seal(plain: Uint8Array, associated: string, nonce: Buffer = createNonce()): Buffer {
    const cipher = crypto.createCipheriv('aes-256-gcm', this.#messageKey(nonce), nonce.subarray(NONCE / 2))
    cipher.setAAD(Buffer.from(associated))
    return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  }

  /** The plain text; `undefined` if it was not sealed by this key with the same associated text. */
  open(sealed: Buffer, associated: string): Buffer | undefined {
    if (sealed.length < OVERHEAD) return undefined
    const nonce = sealed.subarray(0, NONCE)
    const key = this.#messageKey(nonce)
    const half = nonce.subarray(NONCE / 2)
    const decipher = crypto.createDecipheriv('aes-256-gcm', key, half, { authTagLength: TAG })
    decipher.setAAD(Buffer.from(associated))
    decipher.setAuthTag(sealed.subarray(-TAG))
    const plain = decipher.update(sealed.subarray(NONCE, -TAG))
    try {
      decipher.final()
    } catch {
      return undefined
    }
    return plain
  }

  #messageKey(nonce: Buffer): Buffer {
    const mask = this.#mask
    const blocks = this.#blocks
    for (let at = 0; at < NONCE / 2; at += 1) {
      const byte = nonce[at] ?? 0
      blocks[4 + at] = (mask[4 + at] ?? 0) ^ byte
      blocks[BLOCK + 4 + at] = (mask[BLOCK + 4 + at] ?? 0) ^ byte
    }
    return this.#cipher.update(blocks)
  }
}

function createNonce(): Buffer {
  if (used === pool.length) {
    crypto.randomFillSync(pool)
    used = 0
  }
  used += NONCE
  return Buffer.from(pool.subarray(used - NONCE, used))
}

/** Multiplies a block by x in GF(2¹²⁸), as CMAC does to derive its subkeys. */
function doubled(block: Buffer): Buffer {
  const result = Buffer.alloc(BLOCK)
  for (let at = 0; at < BLOCK; at += 1) {
    const next = at + 1 < BLOCK ? block.readUInt8(at + 1) >> 7 : 0
    result.writeUInt8(((block.readUInt8(at) << 1) & 0xff) | next, at)
  }
  if (block.readUInt8(0) >> 7 === 1) xor(result, BLOCK - 1, 0x87)
  return result
}

function xor(bytes: Buffer, at: number, byte: number): void {
  bytes.writeUInt8(bytes.readUInt8(at) ^ byte, at)
}
