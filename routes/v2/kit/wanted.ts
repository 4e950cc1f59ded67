/** What a schema wants, in words that continue «wanted …». It replaces the messages of zod. */
import { z } from "@hono/zod-openapi";
import { counted } from "../../../phrases.ts";

const types: Record<string, string> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
  null: "null",
};

const formats: Record<string, string> = {
  datetime: "a time such as 2025-05-13T07:40:46Z",
  email: "an e-mail address",
  uuid: "a UUID",
};

const nouns: Record<string, [one: string, many: string]> = {
  string: ["character", "characters"],
  array: ["item", "items"],
  record: ["field", "fields"],
};

/** Returns a bound with what it counts, such as «at most 20 items». */
function describeBound(bound: "at least" | "at most", origin: string, value: number | bigint): string {
  const noun = nouns[origin];
  return `${bound} ${noun ? counted(value, ...noun) : value}`;
}

/** Reports whether a schema wants whole numbers. For a text, its issue expects any number. */
const isWhole = (schema: z.core.$ZodRawIssue["inst"]): boolean =>
  schema !== undefined && "format" in schema._zod.def && schema._zod.def.format === "safeint";

/** Returns what an issue of a schema wants. Schemas with a message of their own do not use it. */
function describeWanted(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return isWhole(issue.inst) ? types.int! : types[issue.expected] ?? "a value of another type";
    case "invalid_value":
      return issue.values.length === 1 ? String(issue.values[0]) : `one of ${issue.values.join(", ")}`;
    case "too_small":
      return describeBound("at least", issue.origin, issue.minimum);
    case "too_big":
      return describeBound("at most", issue.origin, issue.maximum);
    case "invalid_format":
      return formats[issue.format] ?? `text of the form ${issue.pattern ?? issue.format}`;
    case "invalid_key":
      return "another name of the field";
    default:
      return "a value that the API's document allows";
  }
}

/** Makes all schemas describe what they want. */
export const useWantedTexts = (): void => {
  z.config({ localeError: describeWanted });
};
