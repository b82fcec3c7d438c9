import type { Finding } from '../../store.ts'

/** What records that the application cannot have written, or cannot read, tell of another one. */
export function neighbours(all: number, foreign: number): Finding {
  return {
    check: 'neighbours',
    ok: foreign === 0,
    text:
      foreign === 0
        ? `of ${all} records all are of this library, and can be read`
        : `of ${all} records ${foreign} cannot be read: another application stores there, or seals with other keys; give each application a prefix, table or folder of its own`,
  }
}
