/** Bodies have a size, a depth and a time before any schema sees them. */
import type { Context, Next } from "hono";
import { AppError } from "../../errors.ts";
import { readBody } from "../read_body.ts";
import type { V2Env } from "./context.ts";

/** Bytes of a body at most: tasks of the frontend reach 3 MiB. */
export const bodyBytesMax = 4 * 1024 * 1024;
const depthMax = 64;

const isJson = /^application\/(?:[a-z.-]+\+)?json(?:\s*;.*)?$/i;

/** Containers within each other, told without parsing; what stands in quotes does not count. */
function depthOf(text: string): number {
  let [depth, most, quoted] = [0, 0, false];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (quoted) {
      if (code === 0x5c) at++;
      else if (code === 0x22) quoted = false;
    } else if (code === 0x22) quoted = true;
    else if (code === 0x7b || code === 0x5b) most = Math.max(most, ++depth);
    else if (code === 0x7d || code === 0x5d) depth--;
  }
  return most;
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new AppError("invalid_json", "reading the body: it is not UTF-8");
  }
}

function checkJson(text: string): void {
  if (depthOf(text) > depthMax) {
    throw new AppError("invalid_json", `reading the body: nested deeper than ${depthMax} levels`);
  }
  try {
    JSON.parse(text);
  } catch (error) {
    throw new AppError("invalid_json", `reading the body: ${(error as Error).message.slice(0, 200)}`);
  }
}

/** Reads the body of a route that takes JSON, and leaves its text for the schema. */
export async function readJsonBody(c: Context<V2Env>, next: Next): Promise<void> {
  const type = c.req.header("content-type");
  const { bodyMsMax } = c.var.deps;
  const read = await readBody(c.req.raw, { bytesMax: bodyBytesMax, msMax: bodyMsMax });
  if (read === "too_large") {
    throw new AppError("too_large", `reading the body: at most ${bodyBytesMax} bytes are taken`);
  }
  if (read === "too_slow") throw new AppError("too_slow", `reading the body: it took over ${bodyMsMax} ms`);
  if (read === "broken") throw new AppError("invalid_json", "reading the body: it broke off");
  if (type === undefined || !isJson.test(type)) {
    throw new AppError("unsupported_media", `reading the body: it is '${type ?? ""}'`, {
      fields: [{ field: "content-type", value: type ?? "", wanted: "application/json" }],
    });
  }
  const text = decode(read);
  checkJson(text);
  c.req.bodyCache.text = Promise.resolve(text) as never;
  await next();
}
