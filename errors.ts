/**
 * The known failures of the product. Every other error is `internal`: it is logged with its cause and
 * answered without its text.
 */

import { formatValue } from "./json.ts";

/** All error codes. `exit` is the exit code of a command line, `status` the HTTP status. */
export const codes = {
  invalid_config: { exit: 78, status: 500 },
  usage: { exit: 64, status: 400 },
  invalid_source: { exit: 65, status: 400 },
  source_missing: { exit: 66, status: 404 },
  source_truncated: { exit: 67, status: 400 },
  source_changed: { exit: 71, status: 409 },
  not_a_dump: { exit: 72, status: 400 },
  interrupted: { exit: 130, status: 503 },
  database_unreachable: { exit: 69, status: 503 },
  redis_unreachable: { exit: 68, status: 503 },
  database_refused: { exit: 77, status: 503 },
  database_unsuitable: { exit: 76, status: 503 },
  schema_mismatch: { exit: 70, status: 503 },
  ledger_unbalanced: { exit: 3, status: 500 },
  differences_found: { exit: 4, status: 500 },
  assessed_wait: { exit: 5, status: 409 },
  assessed_no_go: { exit: 6, status: 409 },
  documents_refused: { exit: 7, status: 500 },
  disk_full: { exit: 74, status: 503 },
  busy: { exit: 75, status: 503 },
  unauthenticated: { exit: 1, status: 401 },
  forbidden: { exit: 1, status: 403 },
  not_found: { exit: 1, status: 404 },
  conflict: { exit: 1, status: 409 },
  before_cutover: { exit: 1, status: 409 },
  method_not_allowed: { exit: 1, status: 405 },
  invalid_request: { exit: 1, status: 422 },
  invalid_json: { exit: 1, status: 400 },
  unsupported_media: { exit: 1, status: 415 },
  too_slow: { exit: 1, status: 408 },
  too_large: { exit: 1, status: 413 },
  too_many_requests: { exit: 1, status: 429 },
  internal: { exit: 1, status: 500 },
} as const;

export type ErrorCode = keyof typeof codes;

/** An invalid field. */
export interface FieldFault {
  field: string;
  /** The given value, parsed; absent where it is missing or secret. */
  value?: unknown;
  /** The valid values, for a person. */
  wanted: string;
}

/**
 * A failure with a code. It is thrown where it is detected and rendered by the HTTP layer or the command
 * line.
 *
 * @example
 * ```ts
 * import { AppError } from "./errors.ts";
 * const error = new AppError("not_found", "finding task 'x': no such id");
 * if (error.exit !== 1 || error.status !== 404) throw new Error("the code decides both");
 * ```
 */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly fields: FieldFault[];

  constructor(code: ErrorCode, detail: string, options: { cause?: unknown; fields?: FieldFault[] } = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "AppError";
    this.code = code;
    this.fields = options.fields ?? [];
  }

  get exit(): number {
    return codes[this.code].exit;
  }

  get status(): number {
    return codes[this.code].status;
  }
}

/** Returns an invalid value as text: a text as it is, anything else as JSON. */
export const describeValue = (value: unknown): string =>
  typeof value === "string" ? value : formatValue(value) ?? String(value);

/** Returns the text of a failure for people: its message, then a line for each invalid field. */
export function describeError(error: unknown): string {
  if (!(error instanceof AppError)) return error instanceof Error ? error.message : String(error);
  const lines = error.fields.map(({ field, value, wanted }) =>
    `  ${field}${value === undefined || value === "" ? "" : ` '${describeValue(value)}'`}: wanted ${wanted}`
  );
  return [error.message, ...lines].join("\n");
}
