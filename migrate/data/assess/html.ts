/** Escaping of texts in HTML. */

const escapes: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/**
 * Escapes a text for an element or a quoted attribute. Replaces lone surrogates and NUL, which HTML cannot hold.
 *
 * @example
 * ```ts
 * import { escapeHtml } from "./html.ts";
 * if (escapeHtml(`<a href="x">`) !== "&lt;a href=&quot;x&quot;&gt;") throw new Error("not escaped");
 * ```
 */
export const escapeHtml = (text: string): string =>
  text.toWellFormed().replaceAll("\0", "\u2400").replace(/[&<>"']/g, (char) => escapes[char]!);
