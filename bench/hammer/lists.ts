/** The key of an array that all requests get, change and set. */
export const LIST = 'list'

/** The same, with a merge of its items. */
export const MERGED = 'merged'
