// Those who visit the servers: one connection and one set of cookies each, by undici.

/** What of undici is used. The peers are installed apart, so the compiler does not see it. */
interface Client {
  dispatch(
    request: { method: 'GET'; path: string; headers: Record<string, string> },
    handler: object,
  ): boolean
  close(): Promise<void>
}

const library: string = 'undici'
// It exports that class.
const { Client } = (await import(library)) as {
  Client: new (origin: string, options: object) => Client
}

interface Answer {
  readonly status: number
  readonly body: string
}

/** The cookies that one session consists of. */
export type Jar = Map<string, string>

export class Visitor {
  readonly #client: Client

  constructor(port: number) {
    this.#client = new Client(`http://127.0.0.1:${port}`, { pipelining: 1 })
  }

  /** Asks for a path, with the cookies of `jar` and to keep new ones in it. */
  async visit(path: string, jar?: Jar): Promise<string> {
    const { status, body } = await this.#ask(path, jar)
    if (status !== 200) throw new Error(`${path} was answered by ${status}: ${body}`)
    return body
  }

  async close(): Promise<void> {
    await this.#client.close()
  }

  #ask(path: string, jar: Jar | undefined): Promise<Answer> {
    const headers: Record<string, string> = {}
    if (jar !== undefined && jar.size > 0) {
      headers['cookie'] = Array.from(jar, ([name, value]) => `${name}=${value}`).join('; ')
    }
    return new Promise((resolve, reject) => {
      let status = 0
      let body = ''
      this.#client.dispatch(
        { method: 'GET', path, headers },
        {
          onRequestStart() {},
          onResponseStart(_controller: unknown, code: number, answered: Record<string, string | string[]>) {
            status = code
            if (jar !== undefined) keep(jar, answered['set-cookie'])
          },
          onResponseData(_controller: unknown, chunk: Buffer) {
            body += chunk.toString('latin1')
          },
          onResponseEnd() {
            resolve({ status, body })
          },
          onResponseError(_controller: unknown, error: unknown) {
            reject(error instanceof Error ? error : new Error(String(error)))
          },
        },
      )
    })
  }
}

function keep(jar: Jar, lines: string | string[] | undefined): void {
  for (const line of lines === undefined ? [] : [lines].flat()) {
    const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
    if (value === '') jar.delete(name)
    else jar.set(name, value)
  }
}
