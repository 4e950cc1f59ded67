/** Query strings, percent-escapes and request targets as Python reads them. */

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

/** Decodes percent-escapes. Malformed escapes stay as they are; invalid UTF-8 becomes U+FFFD. */
export function unquote(text: string): string {
  if (!text.includes("%")) return text;
  return text.replace(/(?:%[0-9a-fA-F]{2})+/g, (run) => {
    const bytes = new Uint8Array(run.length / 3);
    for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(run.slice(i * 3 + 1, i * 3 + 3), 16);
    return decoder.decode(bytes);
  });
}

/** Decodes `+` and percent-escapes. */
export const unquotePlus = (text: string): string => unquote(text.replaceAll("+", " "));

/**
 * Parses a urlencoded text into names and values. Of equal names, the last counts; a name without `=` has an
 * empty value.
 */
export function parseQuery(text: string): Map<string, string> {
  const parameters = new Map<string, string>();
  if (text === "") return parameters;
  for (const part of text.split("&")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const name = equals < 0 ? part : part.slice(0, equals);
    parameters.set(unquotePlus(name), equals < 0 ? "" : unquotePlus(part.slice(equals + 1)));
  }
  return parameters;
}

/** Decodes Latin-1 text of a form or header as UTF-8. Returns undefined if the bytes are not valid UTF-8. */
export function latin1ToUtf8(latin1: string): string | undefined {
  try {
    const bytes = Uint8Array.from(latin1, (character) => character.charCodeAt(0));
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Returns the path and query of a request's target as the client sent them, for any Host header. */
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

/** Returns the length of a text in UTF-8 bytes. */
export const utf8Length = (text: string): number => encoder.encode(text).length;
