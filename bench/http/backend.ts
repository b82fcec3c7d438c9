// What Redis says of its own work.
import { Redis } from 'ioredis'

export interface BackendCounters {
  /** Scripts that were called, and other commands, those within scripts included. */
  readonly scripts: number
  readonly others: number
  /** µs. */
  readonly cpu: number
  readonly bytes: number
}

export class Backend {
  readonly #redis: Redis

  constructor(url: string) {
    this.#redis = new Redis(url)
  }

  async counters(): Promise<BackendCounters> {
    const info = await this.#redis.info('all')
    const number = (name: string): number =>
      Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1] ?? 0)
    return {
      ...callsOf(info),
      cpu: (number('used_cpu_user') + number('used_cpu_sys')) * 1e6,
      bytes: number('total_net_input_bytes') + number('total_net_output_bytes'),
    }
  }

  async close(): Promise<void> {
    await this.#redis.quit()
  }
}

function callsOf(info: string): { scripts: number; others: number } {
  let [scripts, others] = [0, 0]
  for (const [, name = '', calls = ''] of info.matchAll(/^cmdstat_(\S+):calls=(\d+)/gm)) {
    if (name.startsWith('eval')) scripts += Number(calls)
    else if (name !== 'info') others += Number(calls)
  }
  return { scripts, others }
}

/** What a script does within the server was not sent: where scripts ran, only they were. */
export function sentBetween(before: BackendCounters, after: BackendCounters): number {
  const scripts = after.scripts - before.scripts
  return scripts > 0 ? scripts : after.others - before.others
}
