/** Errors that name the invalid fields of a request. */
import type { z } from "@hono/zod-openapi";
import { AppError, type FieldFault } from "../../../errors.ts";
import { formatValue, JsonNumber } from "../../../json.ts";

const fieldsMax = 50;
/** Maximum length of the names of invalid fields in the text of an error. */
const namesLengthMax = 472;

/** Returns an error for invalid fields. `names` is how its text calls them. */
export const invalidFields = (
  fields: FieldFault[],
  names = fields.map(({ field }) => field).join(", "),
): AppError => new AppError("invalid_request", `reading the request: faulty ${names}`, { fields });

/** Returns an error for one invalid field with the given value. */
export const invalidField = (field: string, value: unknown, wanted: string): AppError =>
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
/** Maximum length of a value in an error. */
const valueLengthMax = 100;

/** Returns a text as JSON; a long one ends with an ellipsis inside the quotes. */
function quoteShort(text: string): string {
  const json = JSON.stringify(text);
  if (json.length <= valueLengthMax) return json;
  let shown = "";
  let length = 3;
  for (const character of text) {
    length += JSON.stringify(character).length - 2;
    if (length > valueLengthMax) break;
    shown += character;
  }
  return JSON.stringify(`${shown}…`);
}

/** Returns an invalid value as short JSON; undefined for a container, a secret and a missing value. */
function toShortJson(field: string, value: unknown): string | undefined {
  if (secretField.test(field)) return undefined;
  if (typeof value === "string") return quoteShort(value);
  if (value === undefined || typeof value === "object" && value !== null && !(value instanceof JsonNumber)) {
    return undefined;
  }
  const text = formatValue(value) ?? String(value);
  return text.length <= valueLengthMax ? text : `${text.slice(0, valueLengthMax)}…`;
}

/** An invalid field in a problem. */
export interface FieldProblem {
  field: string;
  /** The given value as JSON. */
  value?: string;
  wanted: string;
}

/** Returns an invalid field as a problem shows it. */
export function toFieldProblem({ field, value, wanted }: FieldFault): FieldProblem {
  const text = toShortJson(field, value);
  return text === undefined ? { field, wanted } : { field, value: text, wanted };
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
    const value = "value" in fault ? fault.value : valueAt(data, path);
    const isSecret = hidesValue || path.some((key) => secretField.test(String(key)));
    const field = [parts[part] ?? part, ...path.map((key) => String(key).slice(0, 100))].join(".");
    return isSecret || value === undefined ? { field, wanted } : { field, value, wanted };
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
