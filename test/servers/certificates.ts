import path from 'node:path'
import { runCommand } from '../support/cleanup.ts'
import { locate, tools } from './packages.ts'

/** A certificate that is its own authority, and its key: the paths of two files. */
export interface Certificate {
  readonly certificate: string
  readonly key: string
}

/**
 * Makes a certificate in a folder.
 *
 * @param names what it is for: `DNS:localhost,IP:127.0.0.1`
 * @param file the name of its files, without an extension
 */
export async function selfSigned(folder: string, names: string, file = 'cert'): Promise<Certificate> {
  const [certificate, key] = [path.join(folder, `${file}.pem`), path.join(folder, `${file}-key.pem`)]
  const kind = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=kts'.split(' ')
  const files = ['-keyout', key, '-out', certificate]
  await runCommand(await locate(tools.openssl), [...kind, ...files, '-addext', `subjectAltName=${names}`])
  return { certificate, key }
}
