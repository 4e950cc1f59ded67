/** Reads request bodies. Their size, time, depth and number of values are limited before a schema sees them. */
import type { Context, MiddlewareHandler } from "hono";
import { AppError } from "../../../errors.ts";
import { JsonLimitError, JsonSyntaxError, parseJson } from "../../../json.ts";
import { readBody } from "../../common/read_body.ts";
import type { V2Env } from "./context.ts";
import { invalidValues } from "./faults.ts";
import { findUnstorable } from "./storable.ts";

/** Maximum size of a body in bytes. The frontend sends tasks of up to 3 MiB. */
export const bodyBytesMax = 4 * 1024 * 1024;
/** Maximum size of a body in bytes on routes without authentication. */
export const unauthenticatedBytesMax = 64 * 1024;
const depthMax = 64;
/** Maximum number of values including containers. The time to parse depends on them more than on bytes. */
const valuesMax = 100_000;

/** Media types that Hono accepts as JSON. It would treat the body of any other type as empty. */
const isJson = /^application\/(?:[a-z.-]+\+)?json(?:;\s*[a-z0-9-]+=[^;]+)*$/i;

const quote = 0x22;
const comma = 0x2c;
const openBracket = 0x5b;
const backslash = 0x5c;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** Returns the depth and an upper bound of the number of values, without parsing. Text in quotes is skipped. */
function measure(text: string): { depth: number; values: number } {
  let level = 0;
  let depth = 0;
  let values = 1;
  let isQuoted = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (isQuoted) {
      if (code === backslash) i++;
      else if (code === quote) isQuoted = false;
    } else if (code === quote) isQuoted = true;
    else if (code === openBrace || code === openBracket) {
      values++;
      level++;
      depth = Math.max(depth, level);
    } else if (code === closeBrace || code === closeBracket) level--;
    else if (code === comma) values++;
  }
  return { depth, values };
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new AppError("invalid_json", "reading the body: it is not UTF-8");
  }
}

/** Describes the first syntax error without the text around it, which may be a secret. */
function describeSyntaxError(text: string): string {
  try {
    parseJson(text, depthMax, valuesMax);
    return "NaN and Infinity are no JSON";
  } catch (error) {
    if (error instanceof JsonSyntaxError) return `${error.msg} at character ${error.position}`;
    if (error instanceof JsonLimitError) return error.message;
    throw error;
  }
}

/** @throws AppError invalid_json, too_large; invalid_request for values that PostgreSQL cannot store */
function parseBody(text: string): unknown {
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
    throw new AppError("invalid_json", `reading the body: ${describeSyntaxError(text)}`);
  }
  const faults = findUnstorable(parsed);
  if (faults.length > 0) throw invalidValues("json", parsed, faults);
  return parsed;
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
    const wanted = { field: "content-type", wanted: "application/json" };
    const [shown, fault] = type === undefined || type === ""
      ? ["it has no Content-Type", wanted]
      : [`it is '${type.slice(0, 100)}'`, { ...wanted, value: type }];
    throw new AppError("unsupported_media", `reading the body: ${shown}`, { fields: [fault] });
  }
  const encoding = c.req.header("content-encoding") ?? "identity";
  if (encoding.toLowerCase() !== "identity") {
    const fault = { field: "content-encoding", value: encoding, wanted: "none" };
    throw new AppError("unsupported_media", "reading the body: it is packed", { fields: [fault] });
  }
  return decode(read);
}

/** Reads and parses the body once. The route's schema, and handlers that need the text, get these values. */
export function readJsonBody(bytesMax: number): MiddlewareHandler<V2Env> {
  return async (c, next) => {
    const text = await readText(c, bytesMax);
    const body = parseBody(text);
    c.req.text = () => Promise.resolve(text);
    c.req.json = <T>() => Promise.resolve(body as T);
    await next();
  };
}
