/** The only place of v2 that makes an answer of a failure: RFC 9457 problem details. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import { AppError, codes, type ErrorCode, type FieldFault } from "../../../errors.ts";
import type { V2Env } from "./context.ts";

export const problemSchema = z.object({
  type: z.string().openapi({ example: "urn:contactsheet:problem:not_found" }),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  instance: z.string().openapi({ description: "Id of the request, as in the log" }),
  errors: z.array(z.object({
    field: z.string().openapi({ example: "body.stars" }),
    value: z.string().optional(),
    wanted: z.string(),
  })).optional(),
}).openapi("Problem");

const titles: Partial<Record<ErrorCode, string>> = {
  unauthenticated: "Not signed in",
  forbidden: "Not allowed",
  not_found: "Not found",
  method_not_allowed: "Method not allowed",
  conflict: "Conflict with the current state",
  invalid_request: "Invalid request",
  invalid_json: "Not JSON",
  unsupported_media: "Unsupported media type",
  too_large: "Body too large",
  too_slow: "Body came too slowly",
  too_many_requests: "Too many requests",
  busy: "Busy, try again",
};

/** Connection lost, server stopping, out of resources, read-only, deadlock, cancelled: another try may do. */
const passing =
  /^(CONNECT|CONNECTION|E)[A-Z_]+$|^57P0[1-3]$|^53\d{3}$|^25006$|^40P01$|^40001$|^57014$|^55P03$/;

/** A failure that answers with headers of its own: `retry-after`, `allow`. */
export class HttpFailure extends AppError {
  constructor(
    code: ErrorCode,
    detail: string,
    readonly headers: Record<string, string>,
    options: { fields?: FieldFault[] } = {},
  ) {
    super(code, detail, options);
  }
}

/** What the router itself refuses, where our own checks of a body let it pass. */
const byStatus: Record<number, ErrorCode> = { 400: "invalid_json", 415: "unsupported_media" };

/** A text, number or time that PostgreSQL has no room for (class 22): what the client sent, whoever let it pass. */
const faultyData = /^22[0-9A-Z]{3}$/;

function nameFailure(error: unknown): AppError {
  if (error instanceof AppError && error.status < 500) return error;
  if (error instanceof HTTPException && byStatus[error.status]) {
    return new AppError(byStatus[error.status]!, `reading the body: ${error.message}`);
  }
  if (faultyData.test(String((error as { code?: unknown })?.code))) {
    return new AppError("invalid_request", "reading the request: a value in it is out of any range");
  }
  const isBusy = error instanceof AppError && error.status === 503 ||
    passing.test(String((error as { code?: unknown })?.code));
  if (isBusy) return new AppError("busy", "what answers this has no room or is away for a moment; try again");
  return new AppError("internal", "something went wrong here; the log has it under the id of this request");
}

/** What a client is told of a failure; one that nobody foresaw is logged with its cause and answered without. */
export function answerProblem(c: Context<V2Env>, error: unknown): Response {
  const failure = nameFailure(error);
  const { code, message, fields } = failure;
  const { status } = codes[code];
  if (status >= 500 || !(error instanceof AppError)) {
    const said = code === "busy" ? "request put off" : "request failed";
    c.var.deps.log.error(said, { request_id: c.var.requestId }, error);
  }
  const body = {
    type: `urn:contactsheet:problem:${code}`,
    title: titles[code] ?? "Internal error",
    status,
    detail: message,
    instance: c.var.requestId,
    ...(fields.length > 0 ? { errors: fields } : {}),
  };
  return c.body(JSON.stringify(body), status, {
    "content-type": "application/problem+json",
    ...(status === 401 ? { "www-authenticate": "Bearer" } : {}),
    ...(status === 503 ? { "retry-after": "1" } : {}),
    ...(failure instanceof HttpFailure ? failure.headers : {}),
  });
}

const secretField = /password|secret|token/i;

/** A value as it is said back: of a container nothing, as there may be a secret in it; nor of a secret. */
function shown(value: unknown, path: PropertyKey[]): string | undefined {
  if (value === undefined || typeof value === "object" && value !== null) return undefined;
  if (path.some((key) => secretField.test(String(key)))) return undefined;
  const text = JSON.stringify(value);
  return text.length <= 100 ? text : `${text.slice(0, 100)}…`;
}

function valueAt(data: unknown, path: PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (at, key) => typeof at === "object" && at !== null ? Reflect.get(at, key) : undefined,
    data,
  );
}

const places: Record<string, string> = { json: "body", param: "path" };

const faultsMax = 50;

/** A key as part of a field's name: no name is longer than what stands in it. */
const nameKey = (key: PropertyKey): string => String(key).slice(0, 100);

/** A faulty place of a request. */
export interface Fault {
  path: PropertyKey[];
  wanted: string;
  /** What stands there is not said back: nobody knows what it is. */
  silent?: true;
}

function toFaults(issues: readonly z.core.$ZodIssue[]): Fault[] {
  return issues.flatMap((issue): Fault[] =>
    issue.code === "unrecognized_keys"
      ? issue.keys.map((key) => ({
        path: [...issue.path, key],
        wanted: "not to be there: no such field",
        silent: true as const,
      }))
      : [{ path: issue.path, wanted: issue.message }]
  );
}

/** Every faulty field of a request at once, as the schema names them. */
export function invalidRequest(target: string, data: unknown, issues: readonly z.core.$ZodIssue[]): AppError {
  return refuseFields(target, data, toFaults(issues));
}

/** The same for faults that no schema found. */
export function refuseFields(target: string, data: unknown, faults: readonly Fault[]): AppError {
  const fields = faults.slice(0, faultsMax).map(({ path, wanted, silent }): FieldFault => {
    const value = silent ? undefined : shown(valueAt(data, path), path);
    const field = [places[target] ?? target, ...path.map(nameKey)].join(".");
    return { field, wanted, ...(value === undefined ? {} : { value }) };
  });
  const names = fields.map(({ field }) => field).join(", ");
  return new AppError("invalid_request", `reading the request: faulty ${names}`.slice(0, 500), { fields });
}
