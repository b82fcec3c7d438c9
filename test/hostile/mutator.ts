const NUMBERS = [
  '0',
  '-1',
  '1',
  '-0',
  '1e999',
  '9007199254740993',
  '4294967296',
  '99999999999999999999',
  '0x10',
  '1.5',
]
const WORDS = [
  '~',
  '~~',
  '~h',
  '~0',
  '~1',
  '~99',
  '~r0',
  '~r1',
  '~s0',
  '~d0',
  '~d',
  '~n1',
  '~fNaN',
  '~bAA',
  '~uAA',
]
const HEADS = ['~Map', '~Set', '~Null', '~Error', '~Object', '~Function', '~Canary']
const NAMES = [
  '__proto__',
  'constructor',
  'prototype',
  'then',
  'toJSON',
  'Canary',
  'Guarded',
  'Wallet',
  'Point',
  'Object',
]
const PIECES = [
  '[',
  ']',
  '{',
  '}',
  '"',
  ',',
  ':',
  '\t',
  '\n',
  ' ',
  '\\',
  '\0',
  '\uD800',
  'null',
  'T ',
  'S ',
  'J ',
]

/** Damages text in random ways that depend only on the seed. */
export class Mutator {
  #state: number

  constructor(seed: number) {
    this.#state = seed
  }

  /** A whole number from 0 to `below` - 1. (mulberry32) */
  below(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }

  one<T>(choices: readonly T[]): T {
    const choice = choices[this.below(choices.length)]
    if (choice === undefined) throw new Error('nothing to choose from')
    return choice
  }

  /** One to three mutations of `text`; some take parts of `other`. */
  mutate(text: string, other: string): string {
    let mutated = text
    for (let times = this.one([1, 1, 1, 2, 3]); times > 0; times--) mutated = this.#once(mutated, other)
    return mutated
  }

  #once(text: string, other: string): string {
    const at = this.below(text.length + 1)
    const end = Math.min(text.length, at + 1 + this.below(8))
    switch (this.below(10)) {
      case 0:
        return (
          text.slice(0, at) +
          String.fromCharCode(text.charCodeAt(at) ^ (1 << this.below(7))) +
          text.slice(at + 1)
        )
      case 1:
        return text.slice(0, at) + this.one([...PIECES, ...WORDS, ...NAMES]) + text.slice(at)
      case 2:
        return text.slice(0, at) + text.slice(end)
      case 3:
        return text.slice(0, end) + text.slice(at, end) + text.slice(end)
      case 4:
        return text.slice(0, at) + other.slice(this.below(other.length + 1))
      case 5:
        return this.#swap(text, /-?\d+/g, NUMBERS)
      case 6:
        return this.#swap(
          text,
          /"~\w*"/g,
          [...WORDS, ...HEADS].map((word) => `"${word}"`),
        )
      case 7:
        return this.#swap(
          text,
          /"\w+"/g,
          NAMES.map((name) => `"${name}"`),
        )
      case 8:
        return this.#swap(
          text,
          /"[^"]*"|-?\d+|null|\[\]|\{\}/g,
          other.match(/"[^"]*"|-?\d+|null|\[\]|\{\}/g) ?? ['0'],
        )
      default:
        return this.one(['J ', 'T ', 'S ', 'T \t', 'S \t\t']) + text.slice(2)
    }
  }

  /** Replaces one match by one of `choices`. */
  #swap(text: string, pattern: RegExp, choices: readonly string[]): string {
    const matches = [...text.matchAll(pattern)]
    if (matches.length === 0) return text
    const match = this.one(matches)
    return text.slice(0, match.index) + this.one(choices) + text.slice(match.index + match[0].length)
  }
}
