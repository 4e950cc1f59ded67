/** Lists by cursor: what was last shown, not how much was. */
import { z } from "@hono/zod-openapi";
import { AppError } from "../../../errors.ts";
import { findUnstorable } from "./storable.ts";

export const pageQuery = z.object({
  limit: z.string().regex(/^(?:[1-9]|[1-9][0-9]|1[0-9]{2}|200)$/, "wanted a whole number from 1 to 200")
    .transform(Number).default(50)
    .openapi({
      param: { name: "limit", in: "query" },
      type: "integer",
      minimum: 1,
      maximum: 200,
      default: 50,
    }),
  cursor: z.string().min(1).max(500).optional()
    .openapi({ param: { name: "cursor", in: "query" }, description: "`next` of the page before" }),
});

/** A page of things: `next` is null on the last one. */
export const pageOf = <S extends z.ZodType>(item: S) =>
  z.object({ items: z.array(item), next: z.string().nullable() });

/** Names a place in a list by the values that it is ordered by. */
export const writeCursor = (values: (string | number)[]): string =>
  new TextEncoder().encode(JSON.stringify(values)).toBase64({ alphabet: "base64url", omitPadding: true });

/**
 * The values of a cursor, as `shape` says they are; undefined without one.
 *
 * @throws AppError invalid_request for what this list never gave out
 */
export function readCursor<S extends z.ZodType>(
  cursor: string | undefined,
  shape: S,
): z.infer<S> | undefined {
  if (cursor === undefined) return undefined;
  try {
    const bytes = Uint8Array.fromBase64(cursor, { alphabet: "base64url" });
    const values: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (findUnstorable(values).length > 0) throw new TypeError("a text that no list has");
    return shape.parse(values);
  } catch {
    throw new AppError("invalid_request", "reading the request: faulty query.cursor", {
      fields: [{ field: "query.cursor", value: cursor.slice(0, 100), wanted: "'next' of the page before" }],
    });
  }
}

/** Cuts `rows`, of which one more than `limit` was read, to a page. */
export function cutPage<Row, Item>(
  rows: readonly Row[],
  limit: number,
  toItem: (row: Row) => Item,
  toCursor: (row: Row) => (string | number)[],
): { items: Item[]; next: string | null } {
  const shown = rows.slice(0, limit);
  return {
    items: shown.map(toItem),
    next: rows.length > limit ? writeCursor(toCursor(shown.at(-1)!)) : null,
  };
}
