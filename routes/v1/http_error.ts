/** The two error responses of v1: a status with a sentence, and a 422 with a list of faults. */
import { type Json, JsonNumber, type JsonObject, stringifyJson } from "../../json.ts";

/** Ends a call with a status and `{"detail": text}`, as FastAPI's HTTPException does. */
export class HttpError extends Error {
  constructor(readonly status: number, detail: string, readonly headers: Record<string, string> = {}) {
    super(detail);
    this.name = "HttpError";
  }
}

/** One item of a 422 response in pydantic's form. */
export interface Fault {
  type: string;
  /** Path to the faulty value; the first part is `body`, `query` or `path`. */
  loc: (string | number)[];
  msg: string;
  input: Json;
  ctx?: JsonObject;
}

/** Ends a call with 422 and `{"detail": [items]}`, as FastAPI's RequestValidationError does. */
export class ValidationError extends Error {
  constructor(readonly faults: Fault[]) {
    super(faults.slice(0, 10).map(({ loc, msg }) => `${loc.join(".")}: ${msg}`).join("; "));
    this.name = "ValidationError";
  }
}

/** Replaces NaN and infinities by null, because JSON has no notation for them. */
function withoutNonFinite(value: Json): Json {
  if (value instanceof JsonNumber) return value.isFinite ? value : null;
  if (Array.isArray(value)) return value.map(withoutNonFinite);
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [key, withoutNonFinite(item)]));
  return value;
}

/**
 * Returns a fault as JSON text with its fields in pydantic's order. One body can have thousands of faults.
 */
export function faultToJson({ type, loc, msg, input, ctx }: Fault): string {
  const locText = loc.map((part) => JSON.stringify(part)).join(",");
  const inputText = stringifyJson(withoutNonFinite(input));
  const ctxField = ctx ? `,"ctx":${stringifyJson(ctx)}` : "";
  return `{"type":${JSON.stringify(type)},"loc":[${locText}],"msg":${
    JSON.stringify(msg)
  },"input":${inputText}${ctxField}}`;
}
