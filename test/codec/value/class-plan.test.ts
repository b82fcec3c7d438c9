import test from 'ava'
import { type Shape, Shapes } from '../../../src/codec/value/class-plan.ts'
import { workOf } from '../../hostile/work.ts'

class Row {}

test('each list of fields has one shape, however many there are and however alike they begin', (t) => {
  const shapes = new Shapes(Row.prototype, 'Row', 1)
  const lists = [[]] as string[][]
  for (const first of ['a', 'b', 'c', '0', 'toString'])
    for (const second of ['a', 'd', 'e', '1'])
      lists.push([first], [first, second], [second, first], [first, second, 'z'], ['x', first, second])
  const known = new Map<string, Shape>(lists.map((fields) => [JSON.stringify(fields), shapes.of(fields)]))
  for (const fields of [...lists, ...lists.toReversed()]) {
    const shape = shapes.of([...fields])
    t.true(known.get(JSON.stringify(fields)) === shape)
    t.deepEqual(shape.fields, fields)
    t.is(shape.entry, JSON.stringify(['Row', 1, fields]))
  }
})

test('a class with more shapes than are remembered finds or makes the right one', (t) => {
  const shapes = new Shapes(Row.prototype, 'Row', 1)
  for (let round = 0; round < 2; round++)
    for (let n = 0; n < 400; n++) {
      const fields = Array.from({ length: 40 }, (_, field) => `f${field}_${n}`)
      t.deepEqual(shapes.of(fields).fields, fields)
    }
  const wide = Array.from({ length: 20_000 }, (_, field) => `f${field}`)
  t.is(shapes.of(wide).fields.length, 20_000)
})

test('decoding 4: the shape of a row is found in as many steps as it has fields', (t) => {
  const shapes = new Shapes(Row.prototype, 'Row', 1)
  const lists = Array.from({ length: 500 }, (_, n) => ['a', 'b', 'c', 'd', `f${n}`])
  for (const fields of lists) shapes.of(fields)
  const { steps } = workOf(() => {
    for (const fields of lists) shapes.of(fields)
  })
  t.true(steps <= lists.length * 200, `${steps} steps`)
})
