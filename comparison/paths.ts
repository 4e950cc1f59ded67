/** How the old backend reads paths: percent-escapes, and the redirect to a path with or without its last slash. */

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Decodes percent-escapes. Malformed escapes stay; invalid UTF-8 becomes U+FFFD. */
export const unquote = (text: string): string =>
  text.replace(/(?:%[0-9a-f]{2})+/gi, (run) => decoder.decode(Uint8Array.fromHex(run.replaceAll("%", ""))));

/** Encodes a decoded path, so that a server decodes it to the same text. */
export const quotePath = (path: string): string =>
  path.split("/").map((part) => encodeURIComponent(part.toWellFormed())).join("/");

/** Returns `/a` for `/a/` and `/a//`, and `/a/` for `/a`. */
export const withOtherSlash = (path: string): string =>
  path.endsWith("/") ? path.replace(/\/+$/, "") : `${path}/`;

/**
 * Returns the path that the old backend redirects to, percent-encoded, or undefined if the Location header has another
 * target. The old backend decodes a path before it adds or removes the last slash, so `/tasks/7%2f` leads to
 * `/tasks/7`. The Location header is not encoded again (`a%252f/` leads to `a%2f`), and clients resolve its `..`. The
 * returned path has the meaning that the old backend's router found.
 *
 * @param target percent-encoded path and query of the request
 *
 * @example
 * ```ts
 * import { redirectedPath } from "./paths.ts";
 * const path = redirectedPath("/api/v1/tasks/..%2f?x=1", "http://old/api/v1/tasks/..?x=1");
 * if (path !== "/api/v1/tasks/..") throw new Error(path);
 * ```
 */
export function redirectedPath(target: string, location: string): string | undefined {
  const mark = target.indexOf("?");
  const path = withOtherSlash(unquote(mark < 0 ? target : target.slice(0, mark)));
  const query = mark < 0 ? "" : target.slice(mark);
  const to = location.replace(/^https?:\/\/[^/?#]*/i, "");
  return unquote(to) === unquote(path + query) ? quotePath(path) : undefined;
}

/** Reports whether a path has a `.` or `..` segment, which most HTTP clients resolve before they send it. */
export const hasDotSegments = (path: string): boolean => /(^|\/)(\.|%2e){1,2}(?=\/|$)/i.test(path);
