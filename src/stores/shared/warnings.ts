/** What a config string says that is probably not meant, as a process warning. Its text quotes nothing but known names. */
export interface ConfigWarning {
  readonly code: 'KTS_PARAMETER_IGNORED' | 'KTS_TLS_NOT_REQUIRED' | 'KTS_TLS_NOT_VERIFIED'
  readonly text: string
}

const given = new Set<string>()

/** Emits process warnings, each text once in a process. */
export function giveWarnings(store: string, warnings: readonly ConfigWarning[]): void {
  for (const { code, text } of warnings) {
    const sentence = `${store}: ${text}`
    if (given.has(sentence)) continue
    given.add(sentence)
    process.emitWarning(sentence, { type: 'SessionWarning', code })
  }
}

/**
 * The warning of parameters that have no effect; none if there are none.
 *
 * @param ignored what happens instead, by the name of each parameter
 */
export function ignoredWarning(ignored: ReadonlyMap<string, string>): readonly ConfigWarning[] {
  if (ignored.size === 0) return []
  const list = [...ignored].map(([name, instead]) => `${name} (${instead})`).join(', ')
  return [
    {
      code: 'KTS_PARAMETER_IGNORED',
      text: `the config string has parameters without effect here: ${list}. Leave them out.`,
    },
  ]
}

/** The warning of TLS that is used only if the server offers it, which who is on the way to the server can prevent. */
export function notRequiredWarning(found: string, advice: string): ConfigWarning {
  return {
    code: 'KTS_TLS_NOT_REQUIRED',
    text: `${found} on a host that is not local: the connection is encrypted only if the server offers it, and no certificate is checked. ${advice}`,
  }
}

/** The warning of TLS without a check of the certificate. */
export function notVerifiedWarning(found: string, advice: string): ConfigWarning {
  return {
    code: 'KTS_TLS_NOT_VERIFIED',
    text: `${found} accepts any certificate, so another server may answer in the place of yours. ${advice}`,
  }
}

/** Whether a connection to this host stays on this machine: a socket file, `localhost`, or an address of the loopback. */
export function isLocal(host: string): boolean {
  return /^(?:\/.*|(?:.+\.)?localhost|127(?:\.\d{1,3}){3}|::1|::ffff:127(?:\.\d{1,3}){3})\.?$/is.test(host)
}
