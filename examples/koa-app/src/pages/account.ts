import type { ListedSession } from 'koa-typed-session'
import { csrfField } from '../csrf.ts'
import { field } from '../form.ts'
import { html, type Html } from '../html.ts'
import { goTo, showPage, type ShopContext, type ShopHandler } from '../page.ts'
import { keepsOwners, type ShopManager, type ShopSession } from '../sessions.ts'
import { timeTag } from '../time.ts'
import { isPassword } from './login.ts'

/** For how long a login counts as fresh, in ms. */
const FRESH = 5 * 60 * 1000
const LONGEST_ADDRESS = 200

/** Shows where orders are sent to, and the devices on which the user is logged in. */
export function showAccount(manager: ShopManager): ShopHandler {
  return async (ctx) => {
    const { session } = ctx
    const user = session.get('user')
    if (user === undefined) return goTo(ctx, '/login')
    const devices = keepsOwners(manager) ? await manager.sessionsOf(user).list() : []
    showPage(ctx, 'Your account', html`${addressForm(session)} ${deviceList(session, devices)}`)
  }
}

/** Changes the address. This takes a fresh login, so that a stranger at an open browser cannot send the orders elsewhere. */
export function changeAddress(ctx: ShopContext): void {
  const { session } = ctx
  if (!session.has('user')) return goTo(ctx, '/login')
  if (!isFresh(session)) return goTo(ctx, '/account', 'Please enter your password again first.')
  const address = field(ctx, 'address').trim()
  if (address.length > LONGEST_ADDRESS) return goTo(ctx, '/account', 'That address is too long.')
  session.set('address', address)
  goTo(ctx, '/account', 'Your address is changed.')
}

/** The user has entered the password once more. */
export function confirmLogin(ctx: ShopContext): void {
  const { session } = ctx
  if (!session.has('user')) return goTo(ctx, '/login')
  if (!isPassword(field(ctx, 'password'))) return goTo(ctx, '/account', 'That is not the password.')
  if (session.owner === undefined) session.regenerate()
  else session.confirm('password')
  session.set('loggedInAt', new Date())
  goTo(ctx, '/account', 'Thank you. You can change your address now.')
}

/** Logs out one of the user's devices. */
export function endDevice(manager: ShopManager): ShopHandler {
  return async (ctx) => {
    const { owner } = ctx.session
    if (owner === undefined) return goTo(ctx, '/login')
    const hasEnded = await manager.sessionsOf(owner).end(field(ctx, 'handle'))
    goTo(ctx, '/account', hasEnded ? 'That device is logged out.' : 'That device was logged out already.')
  }
}

/** Logs out all devices of the user but this one. */
export function endOtherDevices(manager: ShopManager): ShopHandler {
  return async (ctx) => {
    const { session } = ctx
    if (session.owner === undefined) return goTo(ctx, '/login')
    const ended = await manager.sessionsOf(session.owner).endAll({ except: session })
    goTo(ctx, '/account', `Logged out elsewhere: ${ended}.`)
  }
}

function isFresh(session: ShopSession): boolean {
  if (session.owner !== undefined) return session.isFresh(FRESH)
  return Date.now() - Number(session.get('loggedInAt') ?? 0) < FRESH
}

function addressForm(session: ShopSession): Html {
  const address = session.get('address') ?? ''
  if (!isFresh(session)) {
    return html`
      <h2>Your address</h2>
      <p>${address === '' ? 'You have not told us yet.' : address}</p>
      <form class="login" method="post" action="/account/confirm">
        ${csrfField(session)}
        <label for="password">Password, to change it</label>
        <input id="password" name="password" type="password" autocomplete="current-password" required />
        <button>Go on</button>
      </form>
    `
  }
  return html`
    <h2>Your address</h2>
    <form class="login" method="post" action="/account/address">
      ${csrfField(session)}
      <label for="address">Address</label>
      <input
        id="address"
        name="address"
        value="${address}"
        maxlength="${LONGEST_ADDRESS}"
        autocomplete="street-address"
      />
      <button>Change</button>
    </form>
  `
}

function deviceList(session: ShopSession, devices: readonly ListedSession[]): Html | undefined {
  if (devices.length === 0) return undefined
  return html`
    <h2>Your devices</h2>
    <ul class="devices">
      ${devices.map((device) => html`<li>${deviceItem(session, device)}</li>`)}
    </ul>
    ${
      devices.length > 1 &&
      html`<form method="post" action="/account/devices/end-others">
        ${csrfField(session)}
        <button>Log out all others</button>
      </form>`
    }
  `
}

/** A handle names a session and opens nothing, so it can stand in a page. */
function deviceItem(session: ShopSession, { handle, label = 'A browser', lastUsedAt }: ListedSession): Html {
  const used = html`<strong>${label}</strong>, last used ${timeTag(new Date(lastUsedAt))}`
  if (handle === session.handle) return html`<p>${used} (this one)</p>`
  return html`
    <form method="post" action="/account/devices/end">
      ${csrfField(session)}
      <input type="hidden" name="handle" value="${handle}" />
      <p>${used}</p>
      <button class="quiet" aria-label="Log out ${label}">Log out</button>
    </form>
  `
}
