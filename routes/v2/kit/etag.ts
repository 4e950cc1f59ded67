/** ETags of v2: digests of a response's text, or versions of a row. */
import type { Context } from "hono";
import { AppError } from "../../../errors.ts";
import type { V2Env } from "./context.ts";
import { type JsonResponse, respondJson, withBodyType } from "./json_response.ts";
import { quoted } from "../../../phrases.ts";

const withoutWeak = (etag: string) => etag.trim().replace(/^W\//, "");

const includesEtag = (header: string, etag: string) =>
  header.split(",").some((part) => withoutWeak(part) === withoutWeak(etag));

/** Returns a weak ETag of a response's text. */
export async function etagOf(text: string): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return `W/"${hash.subarray(0, 12).toHex()}"`;
}

/** Responds with JSON `text` and `etag`, or with 304 if the client has this version. */
export function respondJsonTagged<T>(c: Context<V2Env>, text: string, etag: string): JsonResponse<T> {
  c.header("etag", etag);
  const known = c.req.header("if-none-match");
  return known !== undefined && includesEtag(known, etag)
    ? withBodyType(c.body(null, 304))
    : respondJson(c, text);
}

/** Responds with `body` as JSON and the ETag of its text, or with 304. */
export async function respondTagged<T>(c: Context<V2Env>, body: T): Promise<JsonResponse<T>> {
  const text = JSON.stringify(body);
  return respondJsonTagged<T>(c, text, await etagOf(text));
}

/**
 * Checks that the client knows the current version of what it changes.
 *
 * @throws AppError conflict if If-Match names another version
 */
export function requireMatch(c: Context<V2Env>, etag: string): void {
  const wanted = c.req.header("if-match");
  if (wanted === undefined || wanted.trim() === "*") return;
  if (!includesEtag(wanted, etag)) {
    throw new AppError(
      "conflict",
      `changing what has changed: If-Match is ${quoted(wanted, 100)}, it is ${etag} now`,
    );
  }
}
