/** Texts that people write. */
import { z } from "@hono/zod-openapi";

/** Characters as PostgreSQL counts them: code points. */
function countCharacters(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/**
 * A text of `least` to `most` characters, kept byte for byte: markup and control characters are text like any other.
 * Only what PostgreSQL can't hold is refused: NUL, and halves of surrogate pairs.
 */
export const textOf = (most: number, least = 1) =>
  z.string().superRefine((text, ctx) => {
    const fault = (message: string) => ctx.addIssue({ code: "custom", message });
    if (text.includes("\0")) fault("wanted no NUL");
    else if (!text.isWellFormed()) fault("wanted whole characters, no half of a surrogate pair");
    else if (text.length < least || text.length > most && countCharacters(text) > most) {
      fault(`wanted ${least} to ${most} characters`);
    }
  }).openapi({ minLength: least, maxLength: most, pattern: "^[^\\u0000]*$" });

/** A word put on things: one line, without white space around it. */
export const wordOf = (most: number) =>
  textOf(most).refine((text) => !/[\p{Cc}\u2028\u2029]/u.test(text) && text.trim() === text, {
    message: "wanted one line without control characters, and without white space around it",
  });
