import { html, type Content, type Html } from './html.ts'

/** The complete HTML document of a page. `nav` is placed on the right of the header, `notice` above the heading. */
export function layout(title: string, content: Content, nav?: Html, notice?: string): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} · Small Things</title>
        <link rel="icon" href="/icon.svg" type="image/svg+xml" />
        <link rel="stylesheet" href="/style.css" />
      </head>
      <body>
        <a class="skip" href="#main">Skip to the content</a>
        <header class="top">
          <a class="brand" href="/">Small Things</a>
          ${nav}
        </header>
        <main id="main" tabindex="-1">
          ${notice !== undefined && html`<p class="notice" role="status">${notice}</p>`}
          <h1>${title}</h1>
          ${content}
        </main>
        <footer class="bottom">
          <p>A demonstration of <code>koa-typed-session</code>. Nothing here is for sale.</p>
        </footer>
      </body>
    </html> `
}
