import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Where a proxy leads: a port of this machine, or a host and a port. */
export interface Target {
  readonly host?: string
  readonly port: number
  /** The server tells clients its port as JSON, and they connect anew to what it tells: then they are told the proxy's. */
  readonly isTold?: boolean
}

/** A TCP proxy before a server, which can do to its connections what networks do. */
export interface Proxy {
  readonly port: number
  /** How many connections were ever opened through it, while it was cut too. */
  readonly connections: number
  /** How many bytes have come from clients, forwarded or not. */
  readonly sent: number
  /** In how many pieces they came: what a client writes at once comes as one, up to 64 KiB. */
  readonly packets: number
  /** Resets all connections, and every new one too. */
  cut(): void
  /** Resets the connections that are open; new ones are welcome. */
  reset(): void
  /** Forgets the connections that are open, as a firewall does: each is reset when its client sends something. */
  forget(): void
  /** Keeps all connections and takes new ones, and forwards nothing in either direction. */
  stall(): void
  /** Forwards everything so many ms later, in each direction. */
  delay(ms: number): void
  /** Forwards requests; the next answer of the server is swallowed and its connection reset. After that all is well. */
  dropReply(): void
  /** Ends what `cut`, `stall`, `delay` and `dropReply` began; what was held back is forwarded. */
  mend(): void
  /** Closes everything. */
  stop(): Promise<void>
}

/** Starts a proxy on a free port of this machine. */
export async function startProxy({ host = '127.0.0.1', port: to, isTold }: Target): Promise<Proxy> {
  let [isCut, latency, drops] = [false, 0, false]
  let [connections, sent, packets] = [0, 0, 0]
  let flowing = Promise.resolve()
  let flow: (() => void) | undefined
  const clients = new Set<Socket>()
  const forgotten = new WeakSet<Socket>()

  /** Resets a connection. Whoever destroys a socket during that, or resets one that is closing, leaves it open for ever. */
  function abort(client: Socket): void {
    clients.delete(client)
    if (client.writableEnded) client.destroy()
    else client.resetAndDestroy()
  }

  /** Carries what comes from one socket to the other: in order, late or not at all as the proxy is told. */
  async function carry(from: Socket, into: Socket, isReply: boolean): Promise<void> {
    for await (const chunk of from.iterator({ destroyOnReturn: false })) {
      if (!isReply) {
        sent += chunk.length
        packets += 1
      }
      if (!isReply && forgotten.has(from)) return abort(from)
      if (isReply && drops) {
        drops = false
        abort(into)
        return
      }
      if (latency > 0) await sleep(latency)
      await flowing
      if (!into.destroyed) into.write(isReply && isTold === true ? retold(chunk) : chunk)
    }
    into.end()
  }

  function connected(client: Socket): void {
    connections += 1
    client.on('error', () => undefined) // the close that follows says it all
    if (isCut) return void client.resetAndDestroy()
    const upstream = connect({ host, port: to, allowHalfOpen: true })
    upstream.on('error', () => undefined)
    clients.add(client)
    client.on('close', () => {
      clients.delete(client)
      upstream.destroy()
    })
    const drop = (): unknown => clients.has(client) && client.destroy()
    upstream.on('close', drop)
    carry(client, upstream, false).catch(() => upstream.destroy())
    carry(upstream, client, true).catch(drop)
  }

  const server = createServer({ allowHalfOpen: true }, connected).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const { port } = address

  /** Of the same length, as all ports that the system hands out have five digits: so no frame changes its size. */
  function retold(reply: Buffer): Buffer {
    const [theirs, ours] = [`:${to}`, `:${port}`]
    if (theirs.length !== ours.length) throw new Error('the ports differ in length')
    return Buffer.from(reply.toString('latin1').replaceAll(theirs, ours), 'latin1')
  }

  function reset(): void {
    for (const client of clients) abort(client)
  }
  function mend(): void {
    isCut = false
    latency = 0
    drops = false
    flow?.()
    flow = undefined
  }

  return {
    port,
    get connections() {
      return connections
    },
    get sent() {
      return sent
    },
    get packets() {
      return packets
    },
    reset,
    mend,
    cut() {
      isCut = true
      reset()
    },
    forget() {
      for (const client of clients) forgotten.add(client)
    },
    stall() {
      if (flow !== undefined) return
      flowing = new Promise((resolve) => {
        flow = resolve
      })
    },
    delay(ms) {
      latency = ms
    },
    dropReply() {
      drops = true
    },
    async stop() {
      mend()
      reset()
      server.close()
      await once(server, 'close')
    },
  }
}
