import type { SessionError } from '../../errors.ts'
import { optionError } from '../shared/options.ts'
import { type Settings, VARIABLES } from './parameters.ts'

/**
 * The error of a config string.
 *
 * @param word the word at fault, which may be the environment's
 */
export function refusal(what: string, settings?: Settings, word = ''): SessionError {
  if (settings?.get(word)?.isVariable === true)
    return optionError('postgres', `${VARIABLES.get(word)} in the environment ${what}`)
  return optionError(
    'postgres',
    `the config string ${what}; expected a URL such as ` +
      'postgres://user:password@localhost:5432/dbname?sslmode=verify-full, ' +
      'or keywords such as host=localhost user=user password=password dbname=dbname',
  )
}

/** The value of a word, if it is one of these. */
export function choiceOf<T extends string>(
  settings: Settings,
  word: string,
  choices: readonly T[],
): T | undefined {
  const value = settings.get(word)?.value
  const choice = choices.find((each) => each === value)
  if (value !== undefined && choice === undefined) {
    const list = `${choices.slice(0, -1).join(', ')} and ${choices.at(-1)}`
    throw refusal(`knows the values ${list} of ${word}`, settings, word)
  }
  return choice
}
