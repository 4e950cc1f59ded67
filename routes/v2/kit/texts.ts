/** Schemas of texts that people write. */
import { z } from "@hono/zod-openapi";

/** Returns the length in code points, as PostgreSQL counts it. */
function countCharacters(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/**
 * A text of `min` to `max` characters, which is stored unchanged: markup and control characters have no meaning. Only
 * what PostgreSQL cannot store is rejected: NUL and unpaired surrogates.
 */
export const textSchema = (max: number, min = 1) =>
  z.string().superRefine((text, ctx) => {
    const addIssue = (message: string) => ctx.addIssue({ code: "custom", message, continue: false });
    if (text.includes("\0")) addIssue("text without NUL");
    else if (!text.isWellFormed()) addIssue("whole characters, no half of a surrogate pair");
    else if (text.length < min || text.length > max && countCharacters(text) > max) {
      addIssue(`${min} to ${max} characters`);
    }
  }).openapi({ minLength: min, maxLength: max, pattern: "^[^\\u0000]*$" });

/** Neither control characters nor line separators, and no white space at the ends. */
const tagPattern = /^[^\s\p{Cc}](?:[^\p{Cc}\u2028\u2029]*[^\s\p{Cc}])?$/u;

/** A tag: one line without white space at its ends. */
export const tagSchema = (max: number) =>
  textSchema(max).refine((text) => tagPattern.test(text), {
    message: "one line without control characters, and without white space around it",
  }).openapi({ pattern: tagPattern.source });
