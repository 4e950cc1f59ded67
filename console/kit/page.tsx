/** The frame of a page's content: title, actions, and the body. */
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { common } from "./texts.ts";

interface PageProps {
  title: string;
  /** Beside the title. */
  actions?: ComponentChildren;
  /** Above the title: where the page belongs. */
  above?: ComponentChildren;
  /** Uses the whole width and height of the window, such as the matrix. */
  isWide?: boolean;
  class?: string;
  children: ComponentChildren;
}

export function Page({ title, actions, above, isWide = false, class: more, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · ${common.value.product}`;
  }, [title]);
  return (
    <main class={`page ${isWide ? "wide" : ""} ${more ?? ""}`} id="content" tabIndex={-1}>
      <header class="page-head">
        <div class="page-title">
          {above}
          <h1>{title}</h1>
        </div>
        {actions && <div class="page-actions">{actions}</div>}
      </header>
      {children}
    </main>
  );
}
