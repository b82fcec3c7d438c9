import { Script } from 'node:vm'

const CANDIDATE = /#([\p{ID_Start}$_][\p{ID_Continue}$]*)/gu

/** How TypeScript, esbuild and Babel write a private member of an instance for older engines. */
const LOWERED =
  /\b(?:__classPrivateField(?:Get|Set|In)|__private(?:Add|Get|Set|Method)|_classPrivate(?:FieldInitSpec|MethodInitSpec|FieldGet2?|FieldSet2?))\s*\(\s*this\b/

/**
 * The name of a `#private` field, accessor or method of the instances of a class or of one that it extends, if there is any. An
 * instance that no constructor has made has none of them, so that a method which uses one throws.
 *
 * No object tells its private members, but the source text of its class does. A text alone could also have a `#name` in a comment, a
 * string or a class inside, so the parser decides: behind the body of the class it allows `#name in this` only if the class itself
 * declares the name. What is compiled here never runs. A class whose text the parser cannot read by itself is taken as one without.
 */
export function privateMemberOf(type: unknown): string | undefined {
  for (let each = type; typeof each === 'function'; each = Reflect.getPrototypeOf(each)) {
    const text = Function.prototype.toString.call(each)
    const found = declaredIn(text) ?? (LOWERED.test(text) ? 'a private member' : undefined)
    if (found !== undefined) return found
  }
  return undefined
}

function declaredIn(text: string): string | undefined {
  if (!text.startsWith('class') || !text.endsWith('}')) return undefined
  const names = new Set(Array.from(text.matchAll(CANDIDATE), ([, name = '']) => name))
  for (const name of names) if (!isStatic(text, name) && isDeclared(text, name)) return `#${name}`
  return undefined
}

function isDeclared(text: string, name: string): boolean {
  try {
    return new Script(`(${text.slice(0, -1)};static{#${name} in this}})`) instanceof Script
  } catch {
    return false
  }
}

/** A static one belongs to the class, which is not stored. A name is declared once. */
function isStatic(text: string, name: string): boolean {
  const escaped = name.replaceAll('$', String.raw`\$`)
  return new RegExp(
    String.raw`\bstatic\s+(?:async\s+)?(?:\*\s*)?(?:(?:get|set|accessor)\s+)?#${escaped}(?![\p{ID_Continue}$])`,
    'u',
  ).test(text)
}
