/** Failures of requests, as the pages show them. */

/** An invalid field of a request. */
export interface FieldProblem {
  /** Such as `body.variables.v0.values`. */
  field: string;
  value?: string;
  wanted: string;
}

/** The body of an error response (RFC 9457). */
interface Problem {
  type?: string;
  detail?: string;
  instance?: string;
  errors?: FieldProblem[];
}

/** A request that was refused, or that did not arrive. */
export class ApiError extends Error {
  override name = "ApiError";

  constructor(
    /** Last part of the problem's type, such as `not_found`; `offline` if no response came; else `other`. */
    readonly code: string,
    /** HTTP status; 0 if no response came. */
    readonly status: number,
    detail: string,
    readonly fields: readonly FieldProblem[] = [],
    readonly requestId?: string,
    /** Seconds after which the request may be repeated. */
    readonly retryAfterSeconds?: number,
  ) {
    super(detail);
  }
}

/** The request was given up because its page was left. */
export const isAbort = (error: unknown): boolean =>
  error instanceof DOMException && error.name === "AbortError";

/** Returns the error for a response that is not a success. */
export function toApiError(response: Response, body: unknown): ApiError {
  const problem: Problem = typeof body === "object" && body !== null ? body : {};
  const code = problem.type?.split(":").at(-1) ?? "other";
  const retryAfter = Number(response.headers.get("retry-after") ?? NaN);
  return new ApiError(
    code,
    response.status,
    problem.detail ?? `status ${response.status}`,
    problem.errors ?? [],
    problem.instance,
    Number.isFinite(retryAfter) ? retryAfter : undefined,
  );
}

/** Returns any failure as an ApiError. A failed `fetch` means that no response came. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof TypeError) return new ApiError("offline", 0, error.message);
  return new ApiError("other", 0, error instanceof Error ? error.message : String(error));
}
