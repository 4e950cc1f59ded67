/** Text in a page: nothing of it is markup. */

const escapes: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/**
 * Escapes a text for an element or a quoted attribute; what no page can hold gets a mark.
 *
 * @example
 * ```ts
 * import { escapeHtml } from "./html.ts";
 * if (escapeHtml(`<a href="x">`) !== "&lt;a href=&quot;x&quot;&gt;") throw new Error("not escaped");
 * ```
 */
export const escapeHtml = (text: string): string =>
  text.toWellFormed().replaceAll("\0", "\u2400").replace(/[&<>"']/g, (char) => escapes[char]!);
