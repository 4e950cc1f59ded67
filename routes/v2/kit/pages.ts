/** Pagination by cursor: a cursor holds the sort values of the last row of a page. */
import { z } from "@hono/zod-openapi";
import { invalidField } from "./faults.ts";
import { integerQuery } from "./query.ts";
import { findUnstorable } from "./storable.ts";

/** Maximum length of a cursor. The longest one holds a tag of 100 characters with four bytes each. */
const cursorLengthMax = 600;
const cursorWanted = "'next' of the page before";

export const pageQuery = z.object({
  limit: integerQuery("limit", { min: 1, max: 200, absent: 50, description: "Maximum number of items" }),
  cursor: z.string().regex(new RegExp(`^[A-Za-z0-9_-]{1,${cursorLengthMax}}$`), cursorWanted).optional()
    .openapi({ param: { name: "cursor", in: "query" }, description: "`next` of the previous page" }),
});

/** Describes a page of items. `next` is null on the last page. */
export const pageOf = <S extends z.ZodType>(item: S) =>
  z.object({ items: z.array(item), next: z.string().nullable() });

const encodeCursor = (values: (string | number)[]): string =>
  new TextEncoder().encode(JSON.stringify(values)).toBase64({ alphabet: "base64url", omitPadding: true });

/**
 * Returns the sort values of a cursor, or undefined without a cursor.
 *
 * @throws AppError invalid_request if the values do not have the form `shape`
 */
export function decodeCursor<S extends z.ZodType>(
  cursor: string | undefined,
  shape: S,
): z.infer<S> | undefined {
  if (cursor === undefined) return undefined;
  try {
    const bytes = Uint8Array.fromBase64(cursor, { alphabet: "base64url" });
    const values: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (findUnstorable(values).length > 0) throw new TypeError("a value that PostgreSQL cannot store");
    return shape.parse(values);
  } catch {
    throw invalidField("query.cursor", cursor, cursorWanted);
  }
}

/** Returns the page of `rows`, which must have been read with a limit of `limit + 1`. */
export function toPage<Row, Item>(
  rows: readonly Row[],
  limit: number,
  toItem: (row: Row) => Item,
  toCursor: (row: Row) => (string | number)[],
): { items: Item[]; next: string | null } {
  const shown = rows.slice(0, limit);
  return {
    items: shown.map(toItem),
    next: rows.length > limit ? encodeCursor(toCursor(shown.at(-1)!)) : null,
  };
}
