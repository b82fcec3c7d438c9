import { inspect } from 'node:util'
import { SessionError } from 'koa-typed-session'
import { html, type Content, type Html } from '../html.ts'
import { showPage, type ShopContext } from '../page.ts'
import { secrets, type SessionKey, type ShopSession } from '../sessions.ts'
import { timeTag } from '../time.ts'

/** Shows what the session holds, except its ID, with which anyone could take over the session. */
export function showSession(ctx: ShopContext): void {
  const { session } = ctx
  const keys = [...session.keys()].toSorted((a, b) => a.localeCompare(b))
  const nothing = html`<p>It is empty, so nothing is stored, and your browser holds no cookie for it.</p>`
  showPage(
    ctx,
    'What is in your session',
    html`${keys.length === 0 ? nothing : table(session, keys)} ${life(session)}`,
  )
}

function table(session: ShopSession, keys: readonly SessionKey[]): Html {
  return html`
    <table>
      <caption>
        Keys and values, as the program gets them
      </caption>
      <thead>
        <tr>
          <th scope="col">Key</th>
          <th scope="col">Type</th>
          <th scope="col">Value</th>
        </tr>
      </thead>
      <tbody>
        ${keys.map(
          (key) =>
            html`<tr>
              <th scope="row"><code>${key}</code></th>
              ${cells(session, key)}
            </tr>`,
        )}
      </tbody>
    </table>
  `
}

function cells(session: ShopSession, key: SessionKey): Html {
  let type: string
  let shown: Content
  try {
    const value = session.get(key)
    type = typeName(value)
    shown = secrets.has(key) ? html`<em>kept secret</em>` : html`<pre>${inspect(value, { depth: 5 })}</pre>`
  } catch (error) {
    if (!(error instanceof SessionError) || error.code !== 'ERR_SESSION_DECODE') throw error
    // A newer version of the shop may have written it. The other keys work, and the stored value stays as it is.
    type = 'unknown'
    shown = html`<em>this version of the shop cannot read it</em>`
  }
  return html`<td data-label="Type">${type}</td>
    <td data-label="Value">${shown}</td>`
}

function typeName(value: unknown): string {
  if (Array.isArray(value)) return `array of ${value.length === 0 ? 'nothing' : typeName(value[0])}`
  return typeof value === 'object' && value !== null ? value.constructor.name : typeof value
}

function life(session: ShopSession): Html {
  return html`
    <h2>How long it lives</h2>
    <dl>
      <dt>It began</dt>
      <dd>${timeTag(new Date(session.createdAt))}</dd>
      <dt>It ends, unless it is used again</dt>
      <dd>${timeTag(new Date(session.expiresAt))}</dd>
    </dl>
  `
}
