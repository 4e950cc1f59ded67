/** Query strings and percent-escapes as Python reads them. */

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

/** Undoes percent-escapes; what is no escape stays, what is no UTF-8 becomes U+FFFD. */
export function unquote(text: string): string {
  if (!text.includes("%")) return text;
  return text.replace(/(?:%[0-9a-fA-F]{2})+/g, (run) => {
    const bytes = new Uint8Array(run.length / 3);
    for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(run.slice(i * 3 + 1, i * 3 + 3), 16);
    return decoder.decode(bytes);
  });
}

/** Undoes `+` and percent-escapes. */
export const unquotePlus = (text: string): string => unquote(text.replaceAll("+", " "));

/** Names and values of a query string: the last of equal names wins, a name without `=` has an empty value. */
export function parseQuery(text: string): Map<string, string> {
  const found = new Map<string, string>();
  if (text === "") return found;
  for (const part of text.split("&")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const name = equals < 0 ? part : part.slice(0, equals);
    found.set(unquotePlus(name), equals < 0 ? "" : unquotePlus(part.slice(equals + 1)));
  }
  return found;
}

/** Latin-1 bytes of a form or header, as text in UTF-8; undefined when they are none. */
export function recode(latin1: string): string | undefined {
  try {
    const bytes = Uint8Array.from(latin1, (letter) => letter.charCodeAt(0));
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Path and query of a request's target as the client wrote them, whatever its Host header says. */
export function splitTarget(request: Request): { path: string; query: string } {
  const { url } = request;
  const stem = `http://${request.headers.get("host") ?? ""}`;
  const start = stem.length > 7 && url.startsWith(`${stem}/`)
    ? stem.length
    : url.indexOf("/", url.indexOf("//") + 2);
  const hash = url.indexOf("#", start);
  const target = start < 0 ? "/" : url.slice(start, hash < 0 ? undefined : hash);
  const mark = target.indexOf("?");
  return mark < 0
    ? { path: target, query: "" }
    : { path: target.slice(0, mark), query: target.slice(mark + 1) };
}

/** Bytes of text in UTF-8. */
export const utf8Length = (text: string): number => encoder.encode(text).length;
