import type { SignInOptions } from 'koa-typed-session'
import { csrfField, renewCsrf } from '../csrf.ts'
import { field } from '../form.ts'
import { html } from '../html.ts'
import { goTo, showPage, type ShopContext, type ShopHandler } from '../page.ts'
import { keepsOwners, type ShopManager } from '../sessions.ts'

/** The password of all users, shown on the page. A real shop stores a hash of each user's own password. */
const PASSWORD = 'koa'
const LONGEST_NAME = 40

/** Shows the login form. */
export function showLogin(ctx: ShopContext): void {
  if (ctx.session.has('user')) return goTo(ctx, '/')
  loginForm(ctx, '')
}

/** Logs in. The session gets a new ID, so that an ID that was set or seen by an attacker before is useless (fixation). */
export function logIn(manager: ShopManager): ShopHandler {
  return async (ctx) => {
    const { session } = ctx
    const name = field(ctx, 'name').trim()
    const hasName = name !== '' && name.length <= LONGEST_NAME
    // Before the password is looked at: a login that began before all sessions of the user were ended is refused.
    const since = hasName && keepsOwners(manager) ? await manager.sessionsOf(name).since() : undefined
    const problem = problemWith(name, field(ctx, 'password'))
    if (problem !== undefined) {
      ctx.status = 422
      return loginForm(ctx, name, problem)
    }
    // The cart of an anonymous user stays; the data of a user who is still logged in is not passed on to the next.
    if (session.has('user')) await session.destroy()
    if (since === undefined) session.regenerate()
    else session.signIn(name, { since, ...deviceOf(ctx) })
    renewCsrf(session)
    session.set('user', name)
    session.set('loggedInAt', new Date())
    goTo(ctx, '/', `You are logged in, ${name}.`)
  }
}

/** What the list of devices shows. */
function deviceOf(ctx: ShopContext): SignInOptions {
  const agent = ctx.get('User-Agent')
  const browser = ['Firefox', 'Edg', 'Chrome', 'Safari'].find((name) => agent.includes(name))
  const system = ['Windows', 'Android', 'iPhone', 'Mac OS', 'Linux'].find((name) => agent.includes(name))
  return { label: `${browser === 'Edg' ? 'Edge' : (browser ?? 'A browser')} on ${system ?? 'some system'}` }
}

/** Whether this is the password of the user. */
export function isPassword(password: string): boolean {
  return password === PASSWORD
}

/** Logs out: ends the session immediately, including for in-flight requests. */
export async function logOut(ctx: ShopContext): Promise<void> {
  await ctx.session.destroy()
  // This begins a new session with a new ID, which holds only the message.
  goTo(ctx, '/', 'You are logged out.')
}

function problemWith(name: string, password: string): string | undefined {
  if (name === '' || name.length > LONGEST_NAME) return `A name has 1 to ${LONGEST_NAME} characters.`
  if (!isPassword(password)) return `That is not the password. It is “${PASSWORD}”.`
  return undefined
}

function loginForm(ctx: ShopContext, name: string, problem?: string): void {
  showPage(
    ctx,
    'Log in',
    html`
      <form class="login" method="post" action="/login">
        ${csrfField(ctx.session)}
        ${problem !== undefined && html`<p class="problem" id="problem" role="alert">${problem}</p>`}
        <label for="name">Name</label>
        <input
          id="name"
          name="name"
          value="${name}"
          maxlength="${LONGEST_NAME}"
          autocomplete="username"
          required
          ${problem !== undefined && html`aria-describedby="problem"`}
        />
        <label for="password">Password</label>
        <input
          id="password"
          name="password"
          type="password"
          autocomplete="current-password"
          required
          aria-describedby="hint"
        />
        <p id="hint">Any name will do. The password is <kbd>${PASSWORD}</kbd>.</p>
        <button class="big">Log in</button>
      </form>
    `,
  )
}
