import test from 'ava'
import { privateMemberOf } from '../../../src/codec/value/private-members.ts'

/** A class as its source text says, for syntax that the tools here would change. */
function classOf(text: string): unknown {
  // oxlint-disable-next-line typescript/no-implied-eval, no-new-func
  return (new Function(`'use strict'; return (${text})`) as () => unknown)()
}

const withPrivate: readonly (readonly [what: string, text: string, found: string])[] = [
  ['a field', 'class A { #x = 1 }', '#x'],
  ['a field of any name', 'class A { #Größe$_1 }', '#Größe$_1'],
  ['a method', 'class A { #m() {} }', '#m'],
  ['a generator', 'class A { *#g() {} }', '#g'],
  ['a getter', 'class A { get #g() { return 1 } }', '#g'],
  ['a getter and a setter', 'class A { get #g() { return 1 } set #g(v) {} }', '#g'],
  ['a field behind text that looks like one', "class A { a = '#b'; /* #c */ d = /#e/; #f = `#g` }", '#f'],
  ['an inherited field', 'class B extends class A { #x = 1 } { y = 2 }', '#x'],
  ['a static and another one', 'class A { static #s = 1; #x = 2 }', '#x'],
  [
    'a field in what TypeScript made of it',
    'class A { constructor() { _A_x.set(this, 1) } get x() { return __classPrivateFieldGet(this, _A_x, "f") } }',
    'a private member',
  ],
  [
    'a field in what esbuild made of it',
    'class A { constructor() { __privateAdd(this, _x, 1) } }',
    'a private member',
  ],
  [
    'a field in what Babel made of it',
    'class A { constructor() { _classPrivateFieldInitSpec(this, _x, 1) } }',
    'a private member',
  ],
]
for (const [what, text, found] of withPrivate)
  test(`a class with ${what} has a private member`, (t) => {
    t.is(privateMemberOf(classOf(text)), found)
  })

const without: readonly (readonly [what: string, text: string])[] = [
  ['no members', 'class A {}'],
  ['#names in comments', 'class A { /* #a */ b = 1 // #c\n }'],
  ['#names in strings', 'class A { a = "#b"; c = \'#d\'; e = `#f ${1} #g` }'],
  ['#names in regular expressions', 'class A { a() { return this.b.replace(/#c/g, "") / 2 } }'],
  ['a static private member', 'class A { static #count = 0; static next() { return ++A.#count } }'],
  ['a static private method', 'class A { static async #load() {} static get #g() { return 1 } }'],
  ['a class inside that has one', 'class A { make() { return new (class { #x = 1 })() } }'],
  ['a text with an unbalanced brace', 'class A { a = "#b}"; c = "{" }'],
]
for (const [what, text] of without)
  test(`a class with ${what} has no private member`, (t) => {
    t.is(privateMemberOf(classOf(text)), undefined)
  })

test('a function, a bound class and a built-in class have no private member', (t) => {
  for (const type of [function A() {}, class A {}.bind(undefined), Map, undefined])
    t.is(privateMemberOf(type), undefined)
})
