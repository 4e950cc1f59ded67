/** The only place of v2 that makes an answer of a failure: RFC 9457 problem details. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { AppError, type ErrorCode, type FieldFault } from "../../errors.ts";
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

function nameFailure(error: unknown): AppError {
  if (error instanceof AppError && error.status < 500) return error;
  const isBusy = error instanceof AppError && error.status === 503 ||
    passing.test(String((error as { code?: unknown })?.code));
  if (isBusy) return new AppError("busy", "what answers this has no room or is away for a moment; try again");
  return new AppError("internal", "something went wrong here; the log has it under the id of this request");
}

/** What a client is told of a failure; one that nobody foresaw is logged with its cause and answered without. */
export function answerProblem(c: Context<V2Env>, error: unknown): Response {
  const failure = nameFailure(error);
  const { status, code, message, fields } = failure;
  if (status >= 500) c.var.deps.log.error("request failed", { request_id: c.var.requestId }, error);
  const body = {
    type: `urn:contactsheet:problem:${code}`,
    title: titles[code] ?? "Internal error",
    status,
    detail: message,
    instance: c.var.requestId,
    ...(fields.length > 0 ? { errors: fields } : {}),
  };
  return new Response(JSON.stringify(body), {
    status,
    headers: {
      "content-type": "application/problem+json",
      ...(status === 401 ? { "www-authenticate": "Bearer" } : {}),
      ...(status === 503 ? { "retry-after": "1" } : {}),
      ...(failure instanceof HttpFailure ? failure.headers : {}),
    },
  });
}

const shown = (value: unknown): string | undefined => {
  const text = value === undefined ? undefined : JSON.stringify(value);
  return text === undefined || text.length <= 100 ? text : `${text.slice(0, 100)}…`;
};

function valueAt(data: unknown, path: PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (at, key) => typeof at === "object" && at !== null ? Reflect.get(at, key) : undefined,
    data,
  );
}

const places: Record<string, string> = { json: "body", param: "path" };

/** Every faulty field of a request at once, as the schema names them. */
export function invalidRequest(target: string, data: unknown, issues: readonly z.core.$ZodIssue[]): AppError {
  const fields = issues.slice(0, 50).map(({ path, message }): FieldFault => {
    const value = shown(valueAt(data, path));
    const field = [places[target] ?? target, ...path.map(String)].join(".");
    return { field, wanted: message, ...(value === undefined ? {} : { value }) };
  });
  const names = fields.map(({ field }) => field).join(", ");
  return new AppError("invalid_request", `reading the request: faulty ${names}`.slice(0, 500), { fields });
}
