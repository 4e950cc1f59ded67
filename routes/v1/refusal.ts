/** The two answers of v1 that are no success: a sentence with a status, and a list of what is wrong. */
import { type Json, JsonNumber, type JsonObject, stringifyJson } from "../../json.ts";

/** Ends a call with a status and `{"detail": text}`. */
export class Refusal extends Error {
  constructor(readonly status: number, detail: string, readonly headers: Record<string, string> = {}) {
    super(detail);
    this.name = "Refusal";
  }
}

/** One item of a 422, in pydantic's form. */
export interface Fault {
  type: string;
  /** Starts with `body`, `query` or `path`. */
  loc: (string | number)[];
  msg: string;
  input: Json;
  ctx?: JsonObject;
}

/** Ends a call with 422 and `{"detail": [items]}`. */
export class Rejection extends Error {
  constructor(readonly faults: Fault[]) {
    super(faults.slice(0, 10).map(({ loc, msg }) => `${loc.join(".")}: ${msg}`).join("; "));
    this.name = "Rejection";
  }
}

/** What was given, without numbers that JSON cannot say: NaN and Infinity become null. */
function withoutNonFinite(value: Json): Json {
  if (value instanceof JsonNumber) return value.isFinite ? value : null;
  if (Array.isArray(value)) return value.map(withoutNonFinite);
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [key, withoutNonFinite(item)]));
  return value;
}

/** A fault as JSON text, its fields in pydantic's order; a body can have thousands. */
export function faultToJson({ type, loc, msg, input, ctx }: Fault): string {
  const place = loc.map((part) => JSON.stringify(part)).join(",");
  const given = stringifyJson(withoutNonFinite(input));
  const more = ctx ? `,"ctx":${stringifyJson(ctx)}` : "";
  return `{"type":${JSON.stringify(type)},"loc":[${place}],"msg":${
    JSON.stringify(msg)
  },"input":${given}${more}}`;
}
