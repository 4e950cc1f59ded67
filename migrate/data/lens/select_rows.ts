/** The COPY statement that reads rows by key. */
import type { Collection } from "../documents/source.ts";
import { splitKeys, tables } from "./tables.ts";

/**
 * Returns a COPY statement for the rows with some keys, in the order of the keys.
 *
 * @param keys see keyOf()
 * @param expressions what to select of the row `t` before and after the columns
 */
export function selectRows(
  collection: Collection,
  keys: readonly string[],
  { before = [], after = [] }: { before?: readonly string[]; after?: readonly string[] } = {},
): string {
  const { name, columns, keyColumns } = tables[collection];
  const selected = [...before, ...columns.map((column) => `t.${column}`), ...after];
  // The keys are uuids that the lens or the database made, so they hold no quotes.
  const arrays = splitKeys(collection, keys).map((ids) => `'{${ids.join()}}'::uuid[]`).join();
  return `copy (
    select ${selected.join()}
    from unnest(${arrays}) with ordinality as k (${keyColumns.join()}, position)
    join ${name} t using (${keyColumns.join()})
    order by k.position
  ) to stdout`;
}
