/** ETags of v2: of the text of an answer, or of a version where there is one. */
import type { Context } from "hono";
import { AppError } from "../../../errors.ts";
import type { V2Env } from "./context.ts";

const stripWeak = (tag: string) => tag.trim().replace(/^W\//, "");

/** A weak tag of what is answered. */
export async function tagText(text: string): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return `W/"${hash.subarray(0, 12).toHex()}"`;
}

/** 304 where the client holds `tag`, else undefined; the tag goes with either answer. */
export function answerHeld(c: Context<V2Env>, tag: string): Response | undefined {
  c.header("etag", tag);
  const held = c.req.header("if-none-match");
  if (held?.split(",").some((part) => stripWeak(part) === stripWeak(tag))) return c.body(null, 304);
}

/** Answers JSON with a tag of its own text, or 304. */
export async function answerTagged(c: Context<V2Env>, body: unknown): Promise<Response> {
  const text = JSON.stringify(body);
  return answerHeld(c, await tagText(text)) ??
    c.body(text, 200, { "content-type": "application/json" });
}

/**
 * Refuses a change that was made up from an older state.
 *
 * @throws AppError conflict where If-Match is there and names another state (api-v2.md: 409)
 */
export function checkMatch(c: Context<V2Env>, tag: string): void {
  const wanted = c.req.header("if-match");
  if (wanted === undefined || wanted.trim() === "*") return;
  if (!wanted.split(",").some((part) => stripWeak(part) === stripWeak(tag))) {
    throw new AppError(
      "conflict",
      `changing what has changed: If-Match is '${wanted.slice(0, 100)}', it is ${tag} now`,
    );
  }
}
