import { SessionError } from '../../../src/errors.ts'
import { VERSION_LENGTH, type Entry, type Store, type Written } from '../../../src/store.ts'
import { HonestStore } from '../honest-store.ts'
import { broken, type Broken } from './broken.ts'

/** A payload is changed on its way, or too large. */
export const payloads: readonly Broken[] = [
  ...Object.entries({
    'of every size up to a megabyte': (text: string) => text.slice(0, 65_535),
    'characters across the boundaries of buffers': (text: string) =>
      Buffer.from(text).subarray(0, 65_536).toString() + Buffer.from(text).subarray(65_536).toString(),
    'nothing but white space': (text: string) => text.trimEnd(),
    'white space at the end': (text: string) => text.replace(/ +$/, ''),
    'line ends of every kind': (text: string) => text.replaceAll('\r\n', '\n'),
    'combining marks, composed and not': (text: string) => text.normalize('NFC'),
    'emoji and everything beyond the basic plane': (text: string) =>
      text.replace(/[\u{10000}-\u{10ffff}]/gu, '?'),
    'every character of the basic plane': (text: string) => Buffer.from(text, 'latin1').toString('latin1'),
    'control characters': (text: string) => text.replaceAll('\u001A', ''),
    'marks of order, width and direction': (text: string) => text.replaceAll('\uFEFF', ''),
    'quotes, backslashes and escapes': (text: string) => text.replaceAll('\\\\', '\\'),
    'wildcards and placeholders': (text: string) => text.replaceAll('$$', '$'),
    'text that looks like SQL, Lua or a protocol': (text: string) => text.replaceAll('\r\nEND\r\n', ''),
    'no body': (text: string) => (text.length === VERSION_LENGTH ? `${text}\n` : text),
  }).map(([kind, spoil]) =>
    broken(
      `the backend spoils text: ${kind}`,
      `a payload comes back byte for byte: ${kind}`,
      class extends HonestStore {
        override put(key: string, payload: string, at: number): Written {
          super.put(key, spoil(payload), at)
          return { entry: { payload, expiresAt: at } }
        }
      },
    ),
  ),
  broken(
    'replace writes over the old payload and leaves its end',
    'replace keeps the new payload and nothing of the old one',
    class extends HonestStore {
      override put(key: string, payload: string, at: number): Written {
        const rest = this.living(key)?.payload.slice(payload.length) ?? ''
        super.put(key, payload + rest, at)
        return { entry: { payload, expiresAt: at } }
      }
    },
  ),
  broken(
    'a payload that is too large is stored',
    'a payload that is too large is refused before it is stored',
    class extends HonestStore {
      override measure(): void {}
    },
  ),
  broken(
    'size is counted in characters',
    'a payload that is too large is refused before it is stored',
    class extends HonestStore {
      override measure(payload: string): void {
        if (payload.length > this.traits.maxBytes) throw new SessionError('ERR_SESSION_LIMIT', 'too large')
      }
    },
  ),
  broken(
    'a payload of the largest size is refused',
    'a payload of the largest size is kept',
    class extends HonestStore {
      override measure(payload: string): void {
        super.measure(`${payload}.`)
      }
    },
  ),
  broken(
    'a replace that is too large ends the entry',
    'a replace that is too large is refused, and the old payload stays',
    class extends HonestStore {
      override async replace(
        key: string,
        payload: string,
        at: number,
        base: Entry,
      ): ReturnType<Store['replace']> {
        if (payload.length > this.traits.maxBytes) this.backend.rows.delete(key)
        return super.replace(key, payload, at, base)
      }
    },
  ),
]
