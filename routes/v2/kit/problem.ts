/** Error responses of v2: RFC 9457 problem details. No other file creates them. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import { AppError, codes, type ErrorCode } from "../../../errors.ts";
import { isPassingForClient } from "../../../passing.ts";
import type { V2App, V2Env } from "./context.ts";
import { toFieldProblem } from "./faults.ts";

export const problemSchema = z.object({
  type: z.string().openapi({ example: "urn:contactsheet:problem:not_found" }),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  instance: z.string().openapi({ description: "Id of the request, which the log contains too" }),
  errors: z.array(z.object({
    field: z.string().openapi({ example: "body.stars" }),
    value: z.string().optional().openapi({
      description: "The given value as JSON, shortened if it is long. Absent for containers and secrets",
      example: "6",
    }),
    wanted: z.string().openapi({ description: "The valid values, for a person", example: "at most 5" }),
  })).optional().openapi({ description: "The invalid fields of the request" }),
}).openapi("Problem");

const titles: Partial<Record<ErrorCode, string>> = {
  unauthenticated: "Not signed in",
  forbidden: "Not allowed",
  not_found: "Not found",
  method_not_allowed: "Method not allowed",
  before_cutover: "The old backend is still in charge",
  conflict: "Conflict with the current state",
  invalid_request: "Invalid request",
  invalid_json: "Not JSON",
  unsupported_media: "Unsupported media type",
  too_large: "Body too large",
  too_slow: "Body came too slowly",
  too_many_requests: "Too many requests",
  busy: "Busy, try again",
};

/** Returns the reference to an error response in the OpenAPI document. */
export const problemRef = (code: ErrorCode): { $ref: string } => ({ $ref: `#/components/responses/${code}` });

/** Adds the error responses to the components of the OpenAPI document. */
export function registerProblems({ openAPIRegistry: registry }: V2App): void {
  registry.register("Problem", problemSchema);
  const content = { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } };
  for (const [code, title] of Object.entries(titles)) {
    registry.registerComponent("responses", code, { description: title, content });
  }
}

/** An error that sets headers of its own, such as `retry-after` or `allow`. */
export class HttpError extends AppError {
  constructor(code: ErrorCode, detail: string, readonly headers: Record<string, string>) {
    super(code, detail);
  }
}

/** Codes for errors of Hono, which it throws for bodies that our own checks accept. */
const codesByStatus: Record<number, ErrorCode> = { 400: "invalid_json", 415: "unsupported_media" };

/** SQLSTATE class 22: a text, number or time that PostgreSQL cannot store, and that no check found. */
const invalidData = /^22[0-9A-Z]{3}$/;

/** Returns the error that the client sees. Server errors are replaced by one without details. */
function toClientError(error: unknown): AppError {
  if (error instanceof AppError && error.status < 500) return error;
  const code = error instanceof HTTPException ? codesByStatus[error.status] : undefined;
  if (code !== undefined) return new AppError(code, `reading the body: ${(error as HTTPException).message}`);
  if (invalidData.test(String((error as { code?: unknown })?.code))) {
    return new AppError("invalid_request", "reading the request: a value in it is out of any range");
  }
  const isBusy = error instanceof AppError && error.status === 503 || isPassingForClient(error);
  if (isBusy) return new AppError("busy", "what answers this has no room or is away for a moment; try again");
  return new AppError("internal", "something went wrong here; the log has it under the id of this request");
}

/** Responds to an error with a problem. Server errors and unknown errors are logged with their cause. */
export function respondProblem(c: Context<V2Env>, error: unknown): Response {
  const clientError = toClientError(error);
  const { code, message, fields } = clientError;
  const { status } = codes[code];
  if (status >= 500 || !(error instanceof AppError)) {
    const text = code === "busy" ? "request rejected: temporarily unavailable" : "request failed";
    c.var.deps.log.error(text, { request_id: c.var.requestId }, error);
  }
  const body = {
    type: `urn:contactsheet:problem:${code}`,
    title: titles[code] ?? "Internal error",
    status,
    detail: message,
    instance: c.var.requestId,
    ...(fields.length > 0 ? { errors: fields.map(toFieldProblem) } : {}),
  };
  return c.body(JSON.stringify(body), status, {
    "content-type": "application/problem+json",
    ...(status === 401 ? { "www-authenticate": "Bearer" } : {}),
    ...(status === 503 ? { "retry-after": "1" } : {}),
    ...(clientError instanceof HttpError ? clientError.headers : {}),
  });
}
