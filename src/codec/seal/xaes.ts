import * as crypto from 'node:crypto'

const BLOCK = 16
const NONCE = 24
const TAG = 16

/** Random bytes ahead: asking for a few at a time costs more than all the rest of a seal's preparation. */
const pool = Buffer.alloc(NONCE * 128)
let used = pool.length

/** How many bytes a sealed message is longer than its plain text. */
export const OVERHEAD: number = NONCE + TAG

/**
 * AES-256-GCM with a nonce of 192 bits, as C2SP specifies it under the name XAES-256-GCM: half of the nonce makes a key for
 * this one message. Plain GCM draws its nonces at random from 96 bits, which is good for 2³² messages under one key; a busy
 * site seals as many in days. This is good for 2⁸⁰.
 *
 * Sealed bytes are nonce, ciphertext, tag.
 */
export class XaesKey {
  /** One block in, one block out, nothing carried over: the object is good for any number of them. */
  readonly #cipher: crypto.Cipher
  /** The two blocks that become a message's key, but for the nonce. */
  readonly #mask: Buffer
  /** Where they are put together with it, one message at a time. */
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

  /** Seals under a nonce of its own; `nonce` is for published test vectors alone. */
  seal(plain: Uint8Array, associated: string, nonce: Buffer = createNonce()): Buffer {
    const cipher = crypto.createCipheriv('aes-256-gcm', this.#messageKey(nonce), nonce.subarray(NONCE / 2))
    cipher.setAAD(Buffer.from(associated))
    return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  }

  /** What was sealed by this key with the same associated text, else `undefined`. */
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

/** A block times x in GF(2¹²⁸), as CMAC derives its subkeys. */
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
