/** Errors that name the invalid fields of a request. */
import type { z } from "@hono/zod-openapi";
import { AppError, type FieldFault } from "../../../errors.ts";

const fieldsMax = 50;
/** Maximum length of the names of invalid fields in the text of an error. */
const namesLengthMax = 472;

/** Returns an error for invalid fields. `names` is how its text calls them. */
export const invalidFields = (
  fields: FieldFault[],
  names = fields.map(({ field }) => field).join(", "),
): AppError => new AppError("invalid_request", `reading the request: faulty ${names}`, { fields });

/** Returns an error for one invalid field. */
export const invalidField = (field: string, value: string, wanted: string): AppError =>
  invalidFields([{ field, value, wanted }]);

/** An invalid value in a part of a request. */
export interface Fault {
  path: PropertyKey[];
  wanted: string;
  /** The value, if `path` does not lead to it. */
  value?: unknown;
  /** Leaves the value out of the error. */
  hidesValue?: true;
}

const secretField = /password|secret|token/i;

/** Returns a value as the error shows it: never a container or a secret. */
function showValue(value: unknown, path: PropertyKey[]): string | undefined {
  if (value === undefined || typeof value === "object" && value !== null) return undefined;
  if (path.some((key) => secretField.test(String(key)))) return undefined;
  const text = JSON.stringify(value);
  return text.length <= 100 ? text : `${text.slice(0, 100)}…`;
}

const valueAt = (data: unknown, path: PropertyKey[]): unknown =>
  path.reduce<unknown>(
    (value, key) => typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined,
    data,
  );

/** Prefixes of field names, by the validator's name of the part. */
const parts: Record<string, string> = { json: "body", param: "path" };

/** Returns an error for `faults` in a part of a request, whose parsed value is `data`. */
export function invalidValues(part: string, data: unknown, faults: readonly Fault[]): AppError {
  const fields = faults.slice(0, fieldsMax).map(({ path, wanted, hidesValue, ...fault }): FieldFault => {
    const given = "value" in fault ? fault.value : valueAt(data, path);
    const value = hidesValue ? undefined : showValue(given, path);
    const field = [parts[part] ?? part, ...path.map((key) => String(key).slice(0, 100))].join(".");
    return { field, wanted, ...(value === undefined ? {} : { value }) };
  });
  const names = fields.map(({ field }) => field).join(", ").slice(0, namesLengthMax);
  return invalidFields(fields, names);
}

function toFaults(issue: z.core.$ZodIssue): Fault[] {
  if (issue.code !== "unrecognized_keys") return [{ path: issue.path, wanted: issue.message }];
  // The value of an unknown field may be anything, also a secret.
  return issue.keys.map((key) => ({
    path: [...issue.path, key],
    wanted: "not to be there: no such field",
    hidesValue: true,
  }));
}

/** Returns an error for all issues that a schema found. */
export const invalidRequest = (part: string, data: unknown, issues: readonly z.core.$ZodIssue[]): AppError =>
  invalidValues(part, data, issues.flatMap(toFaults));
