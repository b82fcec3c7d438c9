import { createVersion, Document } from '../../codec/document/document.ts'
import { defaultLimits, type Limits } from '../../codec/limits.ts'
import { SessionError } from '../../errors.ts'
import { createHandle } from '../handle.ts'

/** One session in its owner's record. */
export interface OwnerEntry {
  /** The keys that the session is or was stored under. Only what was read as absent, or as a redirect, is dropped. */
  readonly keys: readonly string[]
  /** The epoch of the record under which it may live. With any other it is ending. */
  readonly epoch: string
  /** When it signed in, in ms since the epoch. */
  readonly signedInAt: number
  readonly label: string | undefined
}

const ROLE = 'role'
const EPOCH = 'epoch'
const RIGHTS = 'rights'
/** A key that no handle can be. */
const DEVICES = 'devices'

/** Larger than a session may be by default: a thousand sessions take 260 KB. */
const limits: Limits = { ...defaultLimits, keys: 2_000 }

/**
 * What the store keeps of one owner: which sessions there are, in which epoch, and which devices were seen. It is changed by
 * compare-and-swap only, and an instance is one reading of it that is changed and then written.
 */
export class OwnerRecord {
  readonly createdAt: number
  /** To be listed under it is what "may live" means. Random, and another one with every attempt to end all. */
  epoch: string
  /** Changes when the owner's rights change. */
  rights: string
  readonly entries: Map<string, OwnerEntry>
  /** Hashes of the devices that have signed in, the newest last. */
  devices: readonly string[]

  private constructor(
    createdAt: number,
    epoch: string,
    rights: string,
    entries: Map<string, OwnerEntry>,
    devices: readonly string[],
  ) {
    this.createdAt = createdAt
    this.epoch = epoch
    this.rights = rights
    this.entries = entries
    this.devices = devices
  }

  /** The record of an owner without sessions. */
  static empty(now: number): OwnerRecord {
    return new OwnerRecord(now, createHandle(), createHandle(), new Map(), [])
  }

  /** @throws SessionError `ERR_SESSION_PAYLOAD` if it is damaged, or is no owner's record */
  static parse(payload: string): OwnerRecord {
    const document = Document.parse(payload, limits)
    const { createdAt, attributes } = document.header
    const [epoch, rights] = [attributes.get(EPOCH), attributes.get(RIGHTS)]
    if (attributes.get(ROLE) !== 'owner' || epoch === undefined || rights === undefined || document.damaged)
      throw unreadable()
    const entries = new Map<string, OwnerEntry>()
    let devices: readonly string[] = []
    for (const key of document.keys()) {
      const value = valueOf(document.line(key))
      if (key === DEVICES) devices = textsIn(value)
      else entries.set(key, entryIn(value))
    }
    return new OwnerRecord(createdAt, epoch, rights, entries, devices)
  }

  /** Whether a session may live. */
  isListed(handle: string, key?: string): boolean {
    const entry = this.entries.get(handle)
    return entry?.epoch === this.epoch && (key === undefined || entry.keys.includes(key))
  }

  /** The handles of the sessions that are to be ended. */
  ending(): string[] {
    return [...this.entries].filter(([, { epoch }]) => epoch !== this.epoch).map(([handle]) => handle)
  }

  /** From now on nothing may live but `except`. */
  beginEpoch(except?: string): void {
    this.epoch = createHandle()
    const kept = except === undefined ? undefined : this.entries.get(except)
    if (except !== undefined && kept !== undefined) this.entries.set(except, { ...kept, epoch: this.epoch })
  }

  /** The session is to be ended. */
  markEnding(handle: string): void {
    const entry = this.entries.get(handle)
    if (entry !== undefined) this.entries.set(handle, { ...entry, epoch: '' })
  }

  /** The next payload of the record. */
  write(): string {
    const attributes = new Map([
      [ROLE, 'owner'],
      [EPOCH, this.epoch],
      [RIGHTS, this.rights],
    ])
    const header = { version: createVersion(), createdAt: this.createdAt, attributes }
    const lines = new Map<string, string>()
    for (const [handle, { keys, epoch, signedInAt, label }] of this.entries)
      lines.set(handle, `J ${JSON.stringify({ k: keys, e: epoch, at: signedInAt, label })}`)
    if (this.devices.length > 0) lines.set(DEVICES, `J ${JSON.stringify(this.devices)}`)
    return Document.empty(header).write(header, lines, limits)
  }
}

function valueOf(line: string | undefined): unknown {
  if (line?.startsWith('J ') !== true) throw unreadable()
  try {
    return JSON.parse(line.slice(2))
  } catch {
    throw unreadable()
  }
}

function entryIn(value: unknown): OwnerEntry {
  if (typeof value !== 'object' || value === null) throw unreadable()
  const { k, e, at, label } = value as Readonly<Record<string, unknown>> // of whatever was stored
  if (typeof e !== 'string' || typeof at !== 'number') throw unreadable()
  return {
    keys: textsIn(k),
    epoch: e,
    signedInAt: at,
    label: typeof label === 'string' ? label : undefined,
  }
}

function textsIn(value: unknown): readonly string[] {
  if (!Array.isArray(value) || !value.every((each) => typeof each === 'string')) throw unreadable()
  return value
}

function unreadable(): SessionError {
  return new SessionError(
    'ERR_SESSION_PAYLOAD',
    'the record of an owner is damaged, so its sessions are not known',
  )
}
