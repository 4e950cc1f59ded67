/** Bodies have a size, a depth and a time before any schema sees them. */
import type { Context, MiddlewareHandler } from "hono";
import { AppError } from "../../../errors.ts";
import { JsonLimitError, JsonSyntaxError, parseJson } from "../../../json.ts";
import { readBody } from "../../common/read_body.ts";
import type { V2Env } from "./context.ts";
import { refuseFields } from "./problem.ts";
import { findUnstorable } from "./storable.ts";

/** Bytes of a body at most: tasks of the frontend reach 3 MiB. */
export const bodyBytesMax = 4 * 1024 * 1024;
/** Of a body that nobody has signed for yet. */
export const strangerBytesMax = 64 * 1024;
const depthMax = 64;
/** Values of a body at most, containers counted: time goes by them, not by bytes. */
const valuesMax = 100_000;

/** The router's own form: what it does not know as JSON it would take for an empty body. */
const isJson = /^application\/(?:[a-z.-]+\+)?json(?:;\s*[a-z0-9-]+=[^;]+)*$/i;

/** How deep and how many: told without parsing; what stands in quotes does not count. */
function measure(text: string): { depth: number; values: number } {
  let depth = 0;
  let most = 0;
  let values = 1;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (quoted) {
      if (code === 0x5c) at++;
      else if (code === 0x22) quoted = false;
    } else if (code === 0x22) quoted = true;
    else if (code === 0x7b || code === 0x5b) {
      values++;
      most = Math.max(most, ++depth);
    } else if (code === 0x7d || code === 0x5d) depth--;
    else if (code === 0x2c) values++;
  }
  return { depth: most, values };
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new AppError("invalid_json", "reading the body: it is not UTF-8");
  }
}

/** Where a text stops being JSON, without a word of what stands there: it may be a secret. */
function describeFault(text: string): string {
  try {
    parseJson(text, depthMax, valuesMax);
    return "NaN and Infinity are no JSON";
  } catch (error) {
    if (error instanceof JsonSyntaxError) return `${error.msg} at character ${error.position}`;
    if (error instanceof JsonLimitError) return error.message;
    throw error;
  }
}

/** @throws AppError invalid_json, too_large; invalid_request for texts and numbers that nothing can store */
function checkJson(text: string): void {
  const { depth, values } = measure(text);
  if (depth > depthMax) {
    throw new AppError("invalid_json", `reading the body: nested deeper than ${depthMax} levels`);
  }
  if (values > valuesMax) {
    throw new AppError("too_large", `reading the body: at most ${valuesMax} values are taken`);
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new AppError("invalid_json", `reading the body: ${describeFault(text)}`);
  }
  const faults = findUnstorable(parsed);
  if (faults.length > 0) throw refuseFields("json", parsed, faults);
}

async function readText(c: Context<V2Env>, bytesMax: number): Promise<string> {
  const type = c.req.header("content-type");
  const { bodyMsMax } = c.var.deps;
  const read = await readBody(c.req.raw, { bytesMax, msMax: bodyMsMax });
  if (read === "too_large") {
    throw new AppError("too_large", `reading the body: at most ${bytesMax} bytes are taken`);
  }
  if (read === "too_slow") throw new AppError("too_slow", `reading the body: it took over ${bodyMsMax} ms`);
  if (read === "broken") throw new AppError("invalid_json", "reading the body: it broke off");
  if (type === undefined || !isJson.test(type)) {
    const shown = (type ?? "").slice(0, 100);
    throw new AppError("unsupported_media", `reading the body: it is '${shown}'`, {
      fields: [{ field: "content-type", value: shown, wanted: "application/json" }],
    });
  }
  const encoding = c.req.header("content-encoding") ?? "identity";
  if (encoding.toLowerCase() !== "identity") {
    const fault = { field: "content-encoding", value: encoding.slice(0, 100), wanted: "none" };
    throw new AppError("unsupported_media", "reading the body: it is packed", { fields: [fault] });
  }
  return decode(read);
}

/** Reads the body of a route that takes JSON, and leaves its text for the schema. */
export function readJsonBody(bytesMax: number): MiddlewareHandler<V2Env> {
  return async (c, next) => {
    const text = await readText(c, bytesMax);
    checkJson(text);
    c.req.bodyCache.text = Promise.resolve(text) as never;
    await next();
  };
}
