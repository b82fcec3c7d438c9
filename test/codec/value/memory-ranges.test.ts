import test from 'ava'
import { MemoryRanges } from '../../../src/codec/value/memory-ranges.ts'

test('views on one buffer that do not overlap are accepted, in any order', (t) => {
  const memory = new MemoryRanges()
  const ring = new ArrayBuffer(64)
  for (const start of [32, 0, 48, 16, 8, 56, 24, 40])
    t.is(memory.claim(new Uint8Array(ring, start, 8)), undefined)
})

test('overlapping views are refused, wherever the other views are', (t) => {
  const taken = [
    [10, 20],
    [30, 40],
  ] as const
  for (let start = 0; start < 50; start++) {
    for (let end = start; end <= 50; end++) {
      const memory = new MemoryRanges()
      const ring = new ArrayBuffer(50)
      for (const [from, to] of taken) t.is(memory.claim(new Uint8Array(ring, from, to - from)), undefined)
      const overlaps = start < end && taken.some(([from, to]) => start < to && from < end)
      t.is(
        memory.claim(new Uint8Array(ring, start, end - start)) !== undefined,
        overlaps,
        `${start} to ${end}`,
      )
    }
  }
})

test('an empty view is accepted, unless its buffer is detached', (t) => {
  const memory = new MemoryRanges()
  const buffer = new ArrayBuffer(8)
  t.is(memory.claim(new Uint8Array(buffer, 0, 0)), undefined)
  t.is(memory.claim(Buffer.from('text').subarray(0, 0)), undefined)
  const view = new Uint8Array(buffer)
  structuredClone(buffer, { transfer: [buffer] })
  t.is(memory.claim(view), 'a detached buffer cannot be stored')
  t.is(memory.claim(buffer), 'a detached buffer cannot be stored')
})

test('thousands of views on one buffer are compared, in any order', (t) => {
  const count = 3_000
  const ring = new ArrayBuffer(count * 2)
  const orders: readonly (readonly [string, (index: number) => number])[] = [
    ['up', (index) => index],
    ['down', (index) => count - 1 - index],
    ['mixed', (index) => (index * 1_009) % count],
  ]
  for (const [name, order] of orders) {
    const memory = new MemoryRanges()
    for (let index = 0; index < count; index++)
      t.is(memory.claim(new Uint8Array(ring, order(index) * 2, 1)), undefined, name)
    for (let index = 0; index < count; index++) {
      t.not(memory.claim(new Uint8Array(ring, index * 2, 1)), undefined, name)
      if (index > 0) t.not(memory.claim(new Uint8Array(ring, index * 2 - 1, 2)), undefined, name)
    }
    for (let index = 0; index < count; index++)
      t.is(memory.claim(new Uint8Array(ring, index * 2 + 1, 1)), undefined, name)
  }
})
